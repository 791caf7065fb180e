"""A service over a catalogue in a directory, requests without HTTP, and sessions that run without a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from doorward.access.rights import Rights
from doorward.api.audit.service import AuditService
from doorward.api.request import Request
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.live import FollowingFullError, LiveSession, NotLiveError, ShownEvent
from doorward.sessions.trails import Trails
from doorward.tree.snapshot import Snapshot

SEARCH = Rights(readable=frozenset({"/special/searchmenu"}))
ADMIN = Rights(everything=True)
NOBODY = Rights()


class FakeLive:
    """Stands for control: sessions, what was asked of it, and viewers that are shown what the test gives."""

    def __init__(self, *sessions: LiveSession) -> None:
        self.sessions = {one.key: one for one in sessions}
        self.asked: list[tuple[str, ...]] = []
        self.shown: asyncio.Queue[ShownEvent | None] = asyncio.Queue()
        self.watching = 0
        self.is_full = False
        self.at_follow: Callable[[], None] = lambda: None
        """Called when somebody begins to follow."""

    def all(self) -> Sequence[LiveSession]:
        return list(self.sessions.values())

    def find(self, key: str) -> LiveSession | None:
        return self.sessions.get(key)

    async def end(self, key: str, reason: str, by: str) -> None:
        if key not in self.sessions:
            raise NotLiveError(key)
        self.asked.append(("end", key, reason, by))
        del self.sessions[key]

    async def lock(self, key: str, *, locked: bool) -> None:
        if key not in self.sessions:
            raise NotLiveError(key)
        self.asked.append(("lock", key, str(locked)))
        one = self.sessions[key]
        self.sessions[key] = LiveSession(key, one.channels, one.down, one.up, one.activity, is_locked=locked)

    async def follow(self, key: str, channel: int | None, who: str) -> AsyncIterator[ShownEvent]:
        self.at_follow()
        if self.is_full:
            raise FollowingFullError
        if key not in self.sessions:
            raise NotLiveError(key)
        self.asked.append(("follow", key, str(channel), who))
        self.watching += 1
        try:
            while (event := await self.shown.get()) is not None:
                yield event
        finally:
            self.watching -= 1


def service(state: Path, configuration: Snapshot, live: FakeLive | None = None) -> AuditService:
    trails = Trails(state / "trails")
    catalogue = SqliteCatalogue(state / "sessions.db", trails.may_read)
    return AuditService(catalogue, trails, live or FakeLive(), lambda: configuration)


def request(
    path: str, rights: Rights = ADMIN, *, method: str = "GET", user: str = "admin", body: bytes = b"", **headers: str
) -> Request:
    where, _, query = path.partition("?")

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "client": ("203.0.113.9", 1),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "query_string": query.encode(),
    }
    made = Request(method, tuple(part for part in where.split("/") if part), scope, receive, "0" * 32)
    made.login = SimpleNamespace(name=user, account=user, rights=rights, token="token")  # type: ignore[assignment]
    return made
