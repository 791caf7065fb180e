"""What workers tell of sessions: into the catalogue, in order, each thing once however often it comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec import Struct

from doorward.proxy import messages
from doorward.proxy.control import rows
from doorward.proxy.control.live import Live
from doorward.proxy.control.notices import Notices
from doorward.proxy.control.proofs import plain_address
from doorward.proxy.control.session import MisbehaviourError, Phase, Session
from doorward.proxy.control.sessions import Sessions
from doorward.sessions.catalogue.port import Catalogue, CatalogueUnavailableError
from doorward.sessions.catalogue.rows import ChannelRow, EventRow, Facts, IndexLine, Peer, SessionEnd
from doorward.tree.plaintext import plain

MAX_CHANNELS = 1_000_000
MAX_LINES = 10_000
MAX_BYTES = 1 << 50
"""Bytes that a session can have moved: numbers that no worker of ours tells must not break sums and lists of the others."""
MAX_WORDS = 300
MAX_FACTS, MAX_FACT = 32, 65_536
"""Facts of a channel, and letters of one: a command may be long."""
MAX_RULES = 10_000
COUNT_SECONDS = 30.0
"""How often the catalogue is told how much a running session has moved."""
EVENTS = frozenset({
    "auth_failure", "channel_denied", "connection_failed", "connection_timedout", "protocol_violation", "recording_failed",
})  # fmt: skip
"""What workers may tell by themselves; everything else of theirs stands in the catalogue alone."""
_LINES = frozenset({"command", "screen", "file", "title"})

Report = (
    messages.Connected | messages.ChannelOpened | messages.ChannelClosed | messages.Happened | messages.Text | messages.Ended
)  # fmt: skip


class Reports(Struct, frozen=True):
    """Takes reports. ``blame`` counts a login that a target refused against the address."""

    catalogue: Catalogue
    sessions: Sessions
    live: Live
    notices: Notices
    blame: Callable[[str], None]

    async def take(self, session: Session, report: Report) -> None:
        """Take a report. Raises MisbehaviourError, or CatalogueUnavailableError where it can't be kept."""
        if report.serial and report.serial <= session.serial:
            return
        async with session.keeping:  # a session that ends while its row is begun must not leave that behind
            pass
        if not session.is_kept:
            self._without_row(session, report)
            return
        match report:
            case messages.Connected():
                await self._connected(session, report)
            case messages.ChannelOpened():
                await self._opened(session, report)
            case messages.ChannelClosed():
                _check_number(report.number)
                down, up = bounded(report.down), bounded(report.up)
                await self.catalogue.channel_closed(session.key, report.number, rows.moment(report.at), down, up)
            case messages.Happened():
                await self._happened(session, report)
            case messages.Text():
                await self._text(session, report)
            case messages.Ended():
                await self._ended(session, report)
        session.serial = max(session.serial, report.serial)

    def _without_row(self, session: Session, report: Report) -> None:
        """Take what is told of a session that nobody came in by: it has no row."""
        match report:
            case messages.Happened():
                self._tell(session, report.event, report.facts)
            case messages.Ended():
                self._over(session)
            case _:
                raise MisbehaviourError(f"told {type(report).__name__} of a session that nobody came in by")

    async def _connected(self, session: Session, report: messages.Connected) -> None:
        target = session.target
        if session.phase != Phase.TARGETED and not session.is_adopted:
            raise MisbehaviourError("told of a connection that it was not allowed to make")
        if target is not None and (
            report.address not in target.addresses or (report.port, report.user) != (target.port, target.user)
        ):
            raise MisbehaviourError("connected to another target than the one it was told")
        _end(report.address, report.port)
        name = target.name if target is not None else ""
        extra = {
            "server_version": _words(report.server_version),
            "host_key": _words(report.host_key),
            "server_method": _words(report.method),
        }
        facts = Facts(server=Peer(report.address, report.port, name), server_local=Peer(*_end(*report.local)), extra=extra)
        await self.catalogue.update(session.key, facts)
        session.phase = Phase.CONNECTED
        session.forget()
        self.notices.tell("auth_success", f"{report.user} logged in at {name or report.address}", session, method=report.method)
        self.notices.tell("session_started", f"The session {session.id} started", session)

    async def _opened(self, session: Session, report: messages.ChannelOpened) -> None:
        _check_number(report.number)
        if (
            session.phase != Phase.CONNECTED
            or report.verdict not in {"accept", "deny"}
            or not 0 <= (report.rule or 0) < MAX_RULES
        ):
            raise MisbehaviourError("told of a channel that there can't be")
        facts = {_words(str(name)): _fact(value) for name, value in list(report.facts.items())[:MAX_FACTS]}
        row = ChannelRow(
            number=report.number,
            opened=rows.moment(report.at),
            type=_words(report.type),
            verdict=report.verdict,
            rule=report.rule,
            facts=facts,
        )
        await self.catalogue.channel_opened(session.key, row)
        session.channels += report.verdict == "accept"

    async def _happened(self, session: Session, report: messages.Happened) -> None:
        content = "; ".join(f"{_words(str(name))}: {_words(str(value))}" for name, value in report.facts.items())
        row = EventRow(at=rows.moment(report.at), type=_words(report.event), content=content[: 8 * MAX_WORDS])
        await self.catalogue.event(session.key, row)
        self._tell(session, report.event, report.facts)

    def _tell(self, session: Session, event: str, facts: dict[str, Any]) -> None:
        if event == "auth_failure":
            self.blame(session.client[0])
        if event in EVENTS:
            words = {f"fact_{_words(str(name))}": _words(str(value)) for name, value in list(facts.items())[:16]}
            self.notices.tell(event, _TEXTS[event], session, **words)

    async def _text(self, session: Session, report: messages.Text) -> None:
        _check_number(report.channel)
        if len(report.lines) > MAX_LINES or any(kind not in _LINES for _, kind, _ in report.lines):
            raise MisbehaviourError("sent lines of no known kind")
        lines = [IndexLine(rows.moment(at), kind, text) for at, kind, text in report.lines]
        await self.catalogue.text(session.key, report.channel, lines)

    async def count(self, session: Session) -> None:
        """Keep, now and then, how much a session has moved: more than that nobody knows of it should its worker die."""
        now = time.monotonic()
        moved = session.down + session.up
        if session.is_kept and moved > session.moved and now >= session.count_due:
            session.moved, session.count_due = moved, now + COUNT_SECONDS
            with suppress(CatalogueUnavailableError):  # then it is told of a fault by what must be kept
                await self.catalogue.update(session.key, Facts(down=session.down, up=session.up))

    async def _ended(self, session: Session, report: messages.Ended) -> None:
        await self.catalogue.end(session.key, end_of(report, session.down, session.up))
        key = "session_terminated" if report.verdict == "TERMINATED" else "session_ended"
        seconds = round(max(0.0, time.time() - session.began), 1)
        reason = _words(report.reason) or None
        self.notices.tell(key, f"The session {session.id} ended", session, verdict=report.verdict, reason=reason, seconds=seconds)
        self._over(session)

    def _over(self, session: Session) -> None:
        self.live.over(session)
        self.sessions.end(session)


def _check_number(number: int) -> None:
    """Raise MisbehaviourError for the number of a channel that there can't be."""
    if not 0 < number < MAX_CHANNELS:
        raise MisbehaviourError("told of a channel that there can't be")


def _fact(value: Any) -> Any:
    """Return what a worker tells of a channel, as far as it is text, number or truth value of some size."""
    if isinstance(value, str):
        return value[:MAX_FACT]
    if isinstance(value, int):  # and truth values
        return min(max(-MAX_BYTES, value), MAX_BYTES) if not isinstance(value, bool) else value
    return plain(str(value), MAX_WORDS)


def _end(address: str, port: int) -> tuple[str, int]:
    """Return one end of a connection that a worker tells. Raises MisbehaviourError where there can be no such end."""
    if len(address) > MAX_WORDS or plain_address(address) is None or not 0 <= port < 1 << 16:
        raise MisbehaviourError("told of a connection that there can't be")
    return address, port


def end_of(report: messages.Ended, down: int, up: int) -> SessionEnd:
    """Return the end of a session as the catalogue keeps it. Raises MisbehaviourError.

    ``down``, ``up``: bytes that are known to have passed; who hands in what a dead worker left knows nothing of them.
    """
    if report.verdict not in rows.VERDICTS:
        raise MisbehaviourError("ended a session in no known way")
    return SessionEnd(
        at=rows.moment(report.at), verdict=report.verdict, reason=_words(report.reason), down=max(down, bounded(report.down)),
        up=max(up, bounded(report.up)),
        trail_bytes=bounded(report.trail_bytes), is_recorded=report.recorded,
    )  # fmt: skip


_TEXTS = {
    "auth_failure": "The login at the server was refused",
    "channel_denied": "A channel was refused",
    "connection_failed": "The server could not be reached",
    "connection_timedout": "The connection timed out",
    "protocol_violation": "The protocol was violated",
    "recording_failed": "The recording of a session failed",
}


def bounded(size: int) -> int:
    """Return a number of bytes that a worker tells, as far as there can be so many."""
    return min(max(0, size), MAX_BYTES)


def _words(text: str) -> str:
    return plain(text, MAX_WORDS)
