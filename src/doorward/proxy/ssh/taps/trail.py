"""Turns what a session saw into its trail: one for each session, in the thread of the recorder.

Records go to the writer, frames to the journal; text for the index, ends of channels and what viewers see are handed back to the
event loop. Bytes that a tap can't stand end the session: nothing passes unrecorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import structlog

from doorward.proxy.messages import ChannelClosed, PipeMessage, Text
from doorward.proxy.ssh.taps.channel import ChannelLog, Tap
from doorward.proxy.ssh.taps.kinds import channel_type, plain, tap_of
from doorward.recording.journal import Journal, RecordingFailedError
from doorward.recording.records import Record, RecordKind, encode_json
from doorward.recording.writer import TrailWriter
from doorward.sessions.rules import ChannelRule

FRAME_MILLISECONDS: Final = 5000
"""How often a frame is made; what happened since is safe as its tail, so that a trail has few frames and loses nothing."""
MAX_TAIL: Final = 32_768
"""Bytes of records that a tail may hold; more make a frame."""
MAX_LINES: Final = 32_768
"""Characters of the lines of one message."""
_OVERHEAD: Final = 200
"""Bytes that something in the queue takes beside its data."""

_RESET: Final = b"\x1bc"
"""Empties a terminal (ECMA-48, RIS), for a drawing is one on an empty terminal."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class View:
    """Something that viewers of a channel see: an asciicast code and its data. ``drawing``: the screen as it is now."""

    channel: int
    at: int
    code: str
    data: bytes
    drawing: bool = False


@dataclass(frozen=True, slots=True)
class Back:
    """What the thread hands back to the event loop."""

    messages: list[PipeMessage] = field(default_factory=list)
    views: list[View] = field(default_factory=list)


@dataclass(slots=True)
class _Channel:
    tap: Tap
    down: int = 0
    up: int = 0
    exit: dict[str, Any] = field(default_factory=dict)


class SessionTrail:
    """The trail of one session. The first methods are for the event loop, the others for the thread."""

    def __init__(
        self,
        name: str,
        level: str,
        now: Callable[[], int],
        hand_back: Callable[[Back], None],
        failed: Callable[[str, bool], None],
    ) -> None:
        self.name, self._level, self._now = name, level, now
        self._hand_back, self._failed = hand_back, failed
        self._queue: deque[tuple[Callable[..., None], tuple[Any, ...], int]] = deque()
        self.taken = self.done = 0
        self.watched = False
        """Whether somebody looks: then what the screen shows is handed back."""
        self.writer: TrailWriter | None = None
        self._channels: dict[int, _Channel] = {}
        self._frames: list[bytes] = []
        self._lines: list[tuple[int, int, str, str]] = []
        self._back = Back()
        self._files = 0
        self._is_dead = False
        self._due = 0
        self.drained: Callable[[], None] = lambda: None
        """Called in the thread after it has taken something from the queue."""
        self.consumed: Callable[[int], None] = lambda _: None
        """Called in the thread with the bytes that it has taken."""

    def put(self, size: int, method: Callable[..., None], *arguments: Any) -> int:
        """Put something into the queue; return the bytes that wait."""
        self._queue.append((method, arguments, size + _OVERHEAD))
        self.taken += size + _OVERHEAD
        return self.taken - self.done

    # What follows runs in the thread.

    def begin(self, journal: Journal, writer: TrailWriter) -> None:
        """Make the file of the trail, with its head."""
        journal.open(self.name, writer.head)
        self.writer = writer

    def keyframes(self) -> Iterable[tuple[int, bytes]]:
        """Return what draws the terminals as they are."""
        found = [(number, channel.tap.drawing()) for number, channel in self._channels.items()]
        return [(number, drawing) for number, drawing in found if drawing is not None]

    def work(self, journal: Journal, amount: int) -> bool:
        """Take about so many bytes from the queue; whether more waits."""
        if self.writer is None:
            return False
        before = self.done
        while self._queue and amount > 0:
            method, arguments, size = self._queue.popleft()
            self.done += size
            amount -= size
            if self._is_dead:
                continue
            try:
                method(*arguments)
            except BaseException as error:  # noqa: BLE001 - hostile bytes; whatever it is, nothing may pass unrecorded
                # Also what is no Exception: code in Rust panics by one that is not.
                self._die(error)
        for frame in self._frames:
            journal.append(self.name, frame)
        self._frames.clear()
        self.consumed(self.done - before)
        self.drained()
        self._give_back()
        return bool(self._queue)

    def _die(self, error: BaseException) -> None:
        log.error("tap failed", session=self.name, error=type(error).__name__, where=place_of(error))
        self._is_dead = True
        self._failed("What passes can't be followed.", False)  # noqa: FBT003 - not a fault of the disk

    def flush(self, journal: Journal) -> bool:
        """Make frames of everything; whether something waits for more to come."""
        if self.writer is None:
            return False
        waits = False
        at = self._now()
        for channel in () if self._is_dead else self._channels.values():
            try:
                channel.tap.settle(at)
            except BaseException as error:  # noqa: BLE001 - as in `work`: it is this session's end, not that of all of the thread
                self._die(error)
                break
            waits = waits or channel.tap.waits
        is_due = at >= self._due or self.writer.waiting >= MAX_TAIL
        tail = None if is_due else self.writer.tail()
        if tail is None:
            self._frames.extend(self.writer.flush())
            self._due = at + FRAME_MILLISECONDS
        for frame in self._frames:
            journal.append(self.name, frame)
        self._frames.clear()
        if tail:
            journal.set_tail(self.name, tail)
        self._give_back()
        return waits or self.writer.waiting > 0

    def rest(self) -> None:
        """Give up memory, if nothing has happened for a while."""
        if self.writer is not None:
            at = self._now()
            self.writer.rest(at)
            for channel in () if self._is_dead else self._channels.values():
                try:
                    channel.tap.rest(at)
                except BaseException as error:  # noqa: BLE001 - as in `work`
                    self._die(error)
                    break

    def broken(self, reason: str) -> None:
        """Take that nothing can be recorded any more."""
        self._is_dead = True
        self._failed(reason, True)  # noqa: FBT003 - a fault of the disk

    def strained(self) -> None:
        """Take that the disk is full."""
        self._failed("The disk for recordings is full.", True)  # noqa: FBT003

    @property
    def _begun(self) -> TrailWriter:
        if self.writer is None:
            raise RuntimeError("The trail has not begun.")
        return self.writer

    def _write(self, record: Record) -> None:
        self._frames.extend(self._begun.write(record))

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
        channel_log = ChannelLog(number, self._level, self._write, self._line, self._next_file)
        self._channels[number] = _Channel(tap_of(channel_log, kind, rule, facts))
        if facts.get("request") == "exec":
            channel_log.command(at, str(facts.get("command", "")))
        if self.watched:
            self._draw(at, number)

    def requested(self, at: int, number: int, down: bool, request: str, facts: Mapping[str, Any]) -> None:  # noqa: FBT001
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

    def data(self, at: int, number: int, down: bool, stream: int, data: bytes) -> None:  # noqa: FBT001
        """Take data of a channel."""
        channel = self._channels[number]
        if down:
            channel.down += len(data)
        else:
            channel.up += len(data)
        channel.tap.data(at, data, stream, down=down)
        if down and self.watched and channel.tap.has_screen:
            self._show(number, at, "o", data)

    def eof(self, at: int, number: int, down: bool) -> None:  # noqa: FBT001
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
            session=self.name, number=number, at=at, down=channel.down, up=channel.up, facts={**channel.exit, **shown}
        )
        self._pack_lines()
        self._back.messages.append(closed)
        self._show(number, at, "x", b"")

    def end(self, journal: Journal, at: int, content: Mapping[str, Any]) -> tuple[int, bytes]:
        """Take everything that waits and write the end; return the number of the last frame and the chain after it."""
        while self.work(journal, MAX_LINES):
            pass
        writer = self._begun
        self._is_dead = False  # what a tap could not follow has its end all the same
        for number in list(self._channels):
            try:
                self.closed(at, number)
            except BaseException as error:  # noqa: BLE001 - as in `work`
                log.error("tap failed at the end", session=self.name, error=type(error).__name__, where=place_of(error))
        for frame in (*self._frames, *writer.close(plain(content), at)):
            journal.append(self.name, frame)
        self._frames.clear()
        self._give_back()
        return writer.frames, writer.chain

    def claim(self, journal: Journal) -> tuple[int, bytes]:
        """Make everything up to now ready to be signed; return the number of the last frame and the chain after it."""
        self.work(journal, MAX_LINES)
        if self.writer is None:
            raise RecordingFailedError("nothing is recorded yet")
        self._due = 0
        self.flush(journal)
        return self.writer.frames, self.writer.chain

    def seal(self, journal: Journal, note: Mapping[str, Any]) -> None:
        """Write a seal, behind everything up to now: a tail would not stand before it."""
        if self.writer is not None:
            for frame in (*self.writer.flush(), self.writer.note(dict(note))):
                journal.append(self.name, frame)

    def draw(self, at: int) -> None:
        """Show viewers all terminals as they are. What was before comes into the trail at once, for who asks for that as well."""
        self._due = 0
        self._json(at, RecordKind.EVENT, 0, {"event": "shown"})
        for number in self._channels:
            self._draw(at, number)

    def _draw(self, at: int, number: int) -> None:
        tap = self._channels[number].tap
        drawing = tap.drawing()
        if drawing is not None:
            self._back.views.append(View(number, at, "r", "{}x{}".format(*tap.size()).encode(), drawing=True))
            self._back.views.append(View(number, at, "o", _RESET + drawing, drawing=True))

    def _show(self, number: int, at: int, code: str, data: bytes) -> None:
        if self.watched:
            self._back.views.append(View(number, at, code, data))

    def _next_file(self) -> int:
        self._files += 1
        return self._files

    def _line(self, channel: int, at: int, kind: str, line: str) -> None:
        self._lines.append((channel, at, kind, line))

    def _pack_lines(self) -> None:
        """Make messages of the lines that wait."""
        lines, self._lines = self._lines, []
        for channel, of_channel in groupby(lines, key=itemgetter(0)):
            part: list[tuple[int, str, str]] = []
            size = 0
            for _, at, kind, line in of_channel:
                if size >= MAX_LINES:
                    self._back.messages.append(Text(session=self.name, channel=channel, lines=tuple(part)))
                    part, size = [], 0
                part.append((at, kind, line))
                size += len(line) + 16
            self._back.messages.append(Text(session=self.name, channel=channel, lines=tuple(part)))

    def _give_back(self) -> None:
        if self._lines:
            self._pack_lines()
        if self._back.messages or self._back.views:
            back, self._back = self._back, Back()
            self._hand_back(back)


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


def place_of(error: BaseException) -> str:
    """Return the place in the code where something went wrong: no content can be in it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else ""
