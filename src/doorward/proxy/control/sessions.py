"""The sessions that control knows, by key."""

from __future__ import annotations

from collections.abc import Iterator

from doorward.listening.sources import source_of
from doorward.proxy.control.session import Phase, Session


class Sessions:
    """All sessions that are not over. Lives in the event loop."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._entering: set[Session] = set()

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, key: str) -> Session | None:
        """Return a session."""
        return self._sessions.get(key)

    def add(self, session: Session) -> None:
        """Take a session in."""
        self._sessions[session.key] = session
        self._entering.add(session)

    def end(self, session: Session) -> None:
        """Let go of a session that is over."""
        session.phase = Phase.ENDED
        self._entering.discard(session)
        session.over.set()
        session.forget()
        if session.worker is not None:
            session.worker.sessions.discard(session)
            session.worker.noted.pop(session.key, None)
        self._sessions.pop(session.key, None)

    def before_login(self, address: str) -> int:
        """Return how many sessions from an address nobody has come in by yet."""
        self._entering = {session for session in self._entering if session.is_before_login}
        source = source_of(address)
        return sum(1 for session in self._entering if source_of(session.client[0]) == source)

    def live(self) -> list[Session]:
        """Return the sessions that have a row, the oldest first."""
        return sorted((session for session in self._sessions.values() if session.is_kept), key=lambda session: session.began)
