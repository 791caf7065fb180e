"""Turns what happens in a session into records of its trail, and into what control and viewers hear of it.

In the thread of the recorder. A tap for each channel that was accepted follows what passes there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from doorward.proxy.messages import ChannelClosed
from doorward.proxy.ssh.taps.back import SessionFindings, View
from doorward.proxy.ssh.taps.channel import ChannelLog, Tap
from doorward.proxy.ssh.taps.kinds import channel_type, plain, tap_of
from doorward.proxy.ssh.wire.failures import place_of
from doorward.recording.records import Record, RecordKind, encode_json
from doorward.sessions.rules import ChannelRule

_RESET: Final = b"\x1bc"
"""Empties a terminal (ECMA-48, RIS), for a drawing is one on an empty terminal."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Channel:
    tap: Tap
    down: int = 0
    up: int = 0
    exit: dict[str, Any] = field(default_factory=dict)


class SessionRecords:
    """The records of one session, given to ``write`` as they are made. ``level``: how much text is wanted of it.

    What hostile bytes make a tap stumble over comes out as any exception.
    """

    def __init__(self, session: str, level: str, write: Callable[[Record], None], findings: SessionFindings) -> None:
        self._session, self._level = session, level
        self._write, self._findings = write, findings
        self._channels: dict[int, _Channel] = {}
        self._files = 0

    def keyframes(self) -> Iterable[tuple[int, bytes]]:
        """Return what draws the terminals as they are."""
        found = [(number, channel.tap.drawing()) for number, channel in self._channels.items()]
        return [(number, drawing) for number, drawing in found if drawing is not None]

    def settle(self, at: int) -> bool:
        """Have the taps say what they have understood so far; whether one waits for more to come."""
        waits = False
        for channel in self._channels.values():
            channel.tap.settle(at)
            waits = waits or channel.tap.waits
        return waits

    def rest(self, at: int) -> None:
        """Give up memory of taps to which nothing has happened for a while."""
        for channel in self._channels.values():
            channel.tap.rest(at)

    def _json(self, at: int, kind: RecordKind, channel: int, content: Mapping[str, Any]) -> None:
        self._write(Record(at, kind, channel, encode_json(plain(content))))

    def facts(self, at: int, content: Mapping[str, Any]) -> None:
        """Record facts about the session."""
        self._json(at, RecordKind.FACTS, 0, content)

    def event(self, at: int, channel: int, content: Mapping[str, Any]) -> None:
        """Record that somebody watched, locked or approved."""
        self._json(at, RecordKind.EVENT, channel, content)

    def opened(self, at: int, number: int, kind: str, verdict: str, rule: ChannelRule | None, facts: Mapping[str, Any]) -> None:
        """Record a channel, and find out who follows it."""
        facts = plain(facts)
        content = {"kind": kind, "rule": rule.position if rule else None, "type": channel_type(kind, facts), "verdict": verdict}
        self._json(at, RecordKind.OPEN, number, content if kind == "session" else {**facts, **content})
        if kind == "session":
            for request in _requests(facts):
                self._json(at, RecordKind.REQUEST, number, request)
        if verdict != "accept":
            return
        channel_log = ChannelLog(number, self._level, self._write, self._findings.line, self._next_file)
        self._channels[number] = _Channel(tap_of(channel_log, kind, rule, facts))
        if facts.get("request") == "exec":
            channel_log.command(at, str(facts.get("command", "")))
        if self._findings.watched:
            self._draw(at, number)

    def requested(self, at: int, number: int, down: bool, request: str, facts: Mapping[str, Any]) -> None:  # noqa: FBT001 - a direction
        """Record a request."""
        facts = plain(facts)
        channel = self._channels.get(number)
        if request in {"exit-status", "exit-signal"}:
            self._json(at, RecordKind.EXIT, number, facts)
            if channel is not None:
                channel.exit = facts
            self._show(number, at, "x", str(facts.get("status", 1)).encode())
        elif request != "window-change":
            self._json(at, RecordKind.REQUEST, number, {**facts, "down": down, "type": request})
        if channel is not None:
            channel.tap.requested(at, request, facts)
            if request == "window-change":
                self._show(number, at, "r", "{}x{}".format(*channel.tap.size()).encode())

    def data(self, at: int, number: int, down: bool, stream: int, data: bytes) -> None:  # noqa: FBT001 - a direction
        """Take data of a channel."""
        channel = self._channels[number]
        if down:
            channel.down += len(data)
        else:
            channel.up += len(data)
        channel.tap.data(at, data, stream, down=down)
        if down and self._findings.watched and channel.tap.has_screen:
            self._show(number, at, "o", data)

    def eof(self, at: int, number: int, down: bool) -> None:  # noqa: FBT001 - a direction
        """Record the end of one direction."""
        self._json(at, RecordKind.REQUEST, number, {"down": down, "type": "eof"})

    def closed(self, at: int, number: int) -> None:
        """End a channel."""
        channel = self._channels.pop(number, None)
        if channel is None:
            return
        facts = plain(channel.tap.close(at))
        self._json(at, RecordKind.CLOSE, number, {"down": channel.down, "up": channel.up, **facts})
        shown = {name: value for name, value in facts.items() if name != "streams"}
        closed = ChannelClosed(
            session=self._session, number=number, at=at, down=channel.down, up=channel.up, facts={**channel.exit, **shown}
        )
        self._findings.tell(closed)
        self._show(number, at, "x", b"")

    def close_all(self, at: int) -> None:
        """End every channel; one that can't be followed ends all the same."""
        for number in list(self._channels):
            try:
                self.closed(at, number)
            except BaseException as error:  # noqa: BLE001 - code in Rust panics by what is no Exception
                log.error("tap failed at the end", session=self._session, error=type(error).__name__, where=place_of(error))

    def draw(self, at: int) -> None:
        """Show viewers all terminals as they are."""
        self._json(at, RecordKind.EVENT, 0, {"event": "shown"})
        for number in self._channels:
            self._draw(at, number)

    def _draw(self, at: int, number: int) -> None:
        tap = self._channels[number].tap
        drawing = tap.drawing()
        if drawing is not None:
            self._findings.show(View(number, at, "r", "{}x{}".format(*tap.size()).encode(), drawing=True))
            self._findings.show(View(number, at, "o", _RESET + drawing, drawing=True))

    def _show(self, number: int, at: int, code: str, data: bytes) -> None:
        self._findings.show(View(number, at, code, data))

    def _next_file(self) -> int:
        self._files += 1
        return self._files


def _requests(facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a session channel was asked for, as records have it."""
    environment, terminal = facts.get("environment"), facts.get("terminal")
    if isinstance(environment, Mapping):
        for name, value in environment.items():
            yield {"name": name, "type": "env", "value": value}
    if isinstance(terminal, Mapping):
        yield {**terminal, "term": terminal.get("type"), "type": "pty-req"}
    match facts.get("request"):
        case "exec":
            yield {"command": facts.get("command", ""), "type": "exec"}
        case "subsystem":
            yield {"name": facts.get("subsystem", ""), "type": "subsystem"}
        case request:
            yield {"type": request or "shell"}
