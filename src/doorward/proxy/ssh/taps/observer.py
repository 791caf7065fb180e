"""The observer of a session (`ports.Observer`): hands what it sees to the recorder, and tells control what has to be known.

Everything here runs in the event loop and never waits for the disk; what is behind is held by the brake of the session.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol

import structlog

from doorward.proxy.messages import Begin, ChannelOpened, Ended, Happened, PipeMessage, WantSeal
from doorward.proxy.ssh.ports import Flow, NotRecordedError
from doorward.proxy.ssh.taps.back import Back
from doorward.proxy.ssh.taps.head import trail_writer
from doorward.proxy.ssh.taps.kinds import channel_type, plain, row_facts
from doorward.proxy.ssh.taps.recorder import Recorder
from doorward.proxy.ssh.taps.seals import Seals
from doorward.proxy.ssh.taps.trail import SessionTrail
from doorward.proxy.ssh.taps.viewers import Outlet, Viewers, nothing_more
from doorward.recording.journal import RecordingFailedError
from doorward.recording.keys import KeyUnavailableError
from doorward.sessions.rules import ChannelRule

log = structlog.get_logger()


class ReportOutlet(Outlet, Protocol):
    """Where an observer tells what it knows: `Outlet`, and what has to arrive."""

    def tell(self, message: PipeMessage) -> None:
        """Send something that has to arrive, now or later."""

    def end_record(self, ended: Ended, unsealed: WantSeal | None) -> bytes:
        """Take the end of a session; return what has to be durable beside its trail before that is closed."""

    def keep_end(self, session: str, record: bytes) -> None:
        """Make what `end_record` returned durable. For another thread; raises OSError."""


class SessionObserver:
    """Sees one session. ``node`` and ``release`` are for the head of its trail."""

    def __init__(self, begin: Begin, recorder: Recorder, reports: ReportOutlet, *, node: str, release: str) -> None:
        self._begin, self._recorder, self._reports = begin, recorder, reports
        self._node, self._version = node, release
        self._loop = asyncio.get_running_loop()
        self._offset = min(max(0.0, time.time() - begin.began), 60.0) - time.monotonic()
        self._trail = SessionTrail(
            begin.session, begin.rules.audit.text, self.now, self._hand_back_from_thread, self._failed_from_thread
        )
        self._records = self._trail.records
        self._trail.drained, self._trail.consumed = self._drained, recorder.consumed
        self._flow: Flow | None = None
        self._is_held = self._has_begun = self._has_ended = self._has_told = False
        self._failure = ""
        self._is_blind = False
        self._seals = Seals(self._trail, recorder, reports, begin.rules.audit.interval)
        self._open: dict[int, None] = {}
        self.down = self.up = 0
        """Bytes from the server, and from the client."""
        self.active = self.now()
        """When something passed last."""
        self.viewers = Viewers(begin.session, reports, self._redraw)

    def now(self) -> int:
        """Return the milliseconds since the session began; whatever is done to the clock meanwhile. For any thread."""
        return round((time.monotonic() + self._offset) * 1000)

    @property
    def channels(self) -> int:
        """How many channels are open."""
        return len(self._open)

    def begin(self, flow: Flow) -> None:
        """Take the brake."""
        self._flow = flow

    async def ready(self) -> None:
        """Make the beginning of the trail. Raises NotRecordedError where there must be no session without."""
        try:
            if not self._recorder.is_able:
                raise RecordingFailedError(self._recorder.failure or "the disk for recordings is full")
            keyframes = self._records.keyframes
            writer = await asyncio.to_thread(trail_writer, self._begin, self._node, self._version, keyframes)
            self._recorder.add(self._trail)
            await self._recorder.submit(lambda journal: self._trail.begin(journal, writer))
        except (RecordingFailedError, KeyUnavailableError) as error:
            self._recorder.remove(self._trail)
            self._tell_failure(str(error))
            if not self._begin.rules.audit.go_on:
                raise NotRecordedError("The session can't be recorded.") from error
            self._is_blind = True
            return
        self._has_begun = True
        self._recorder.notice(self._trail, 0)
        if self._begin.rules.audit.signed:
            self._seals.start()

    # What is seen.

    def facts(self, content: Mapping[str, Any]) -> None:
        """Take what became known of the session."""
        self._put(256, self._records.facts, self.now(), content)

    def opened(self, channel: int, kind: str, verdict: str, rule: ChannelRule | None, facts: Mapping[str, Any]) -> None:
        """Take a channel that was opened or refused."""
        at = self.now()
        self._put(1024, self._records.opened, at, channel, kind, verdict, rule, facts)
        if verdict == "accept":
            self._open[channel] = None
        self._reports.tell(
            ChannelOpened(
                session=self._begin.session, number=channel, at=at, type=channel_type(kind, facts), verdict=verdict,
                rule=rule.position if rule else None, facts=row_facts(kind, facts),
            )
        )  # fmt: skip

    def requested(self, channel: int, down: bool, request: str, facts: Mapping[str, Any]) -> None:  # noqa: FBT001 - the port's
        """Take a request on an open channel."""
        self._put(256, self._records.requested, self.now(), channel, down, request, facts)

    def data(self, channel: int, down: bool, stream: int, data: memoryview) -> None:  # noqa: FBT001 - the port's
        """Take data."""
        size = len(data)
        if down:
            self.down += size
        else:
            self.up += size
        self.active = at = self.now()
        if not self._is_blind:
            self._put(size, self._records.data, at, channel, down, stream, bytes(data))

    def eof(self, channel: int, down: bool) -> None:  # noqa: FBT001 - the port's
        """Take the end of one direction."""
        self._put(0, self._records.eof, self.now(), channel, down)

    def closed(self, channel: int) -> None:
        """Take the end of a channel."""
        self._open.pop(channel, None)
        self._put(0, self._records.closed, self.now(), channel)

    def event(self, content: Mapping[str, Any], channel: int = 0) -> None:
        """Record that somebody watched, locked or approved."""
        if not self._failure:
            self._put(256, self._records.event, self.now(), channel, content)

    def _put(self, size: int, method: Any, *arguments: Any) -> None:
        if self._is_blind or self._has_ended:
            return
        if self._failure:
            raise RecordingFailedError(self._failure)
        before = self._trail.taken
        waiting = self._trail.put(size, method, *arguments)
        self._recorder.taken += self._trail.taken - before
        if waiting > self._recorder.limit and not self._is_held and self._flow is not None:
            self._is_held = True
            self._flow.hold()
        if self._has_begun:
            self._recorder.notice(self._trail, waiting, viewed=self._trail.findings.watched)

    # What the recorder says, from its thread.

    def _drained(self) -> None:
        if self._is_held and self._trail.taken - self._trail.done <= self._recorder.limit // 2:
            self._loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        if self._is_held and self._flow is not None:
            self._is_held = False
            self._flow.release()

    def _hand_back_from_thread(self, back: Back) -> None:
        self._loop.call_soon_threadsafe(self._hand_back, back)

    def _hand_back(self, back: Back) -> None:
        for message in back.messages:
            self._reports.tell(message)
        self.viewers.show(back.views)

    def _failed_from_thread(self, reason: str, of_disk: bool) -> None:  # noqa: FBT001 - as the trail has it
        self._loop.call_soon_threadsafe(self._failed, reason, of_disk)

    def _failed(self, reason: str, of_disk: bool) -> None:  # noqa: FBT001 - as above
        """End the session: what can't be recorded does not pass. The policy may let it live, but for faults of the disk only."""
        if self._failure or self._is_blind or self._has_ended:
            return
        self._tell_failure(reason)
        if of_disk and self._begin.rules.audit.go_on:
            log.warning("session goes on unrecorded", session=self._begin.session, reason=reason)
            self._is_blind = True
            self._release()
            return
        self._failure = reason
        if self._flow is not None:
            self._flow.end("The session can't be recorded any more.", "FAIL")

    def _tell_failure(self, reason: str) -> None:
        if not self._has_told:
            self._has_told = True
            told = Happened(session=self._begin.session, at=self.now(), event="recording_failed", facts=plain({"reason": reason}))
            self._reports.tell(told)

    # Viewers and seals.

    def follow(self, viewer: int, who: str, channel: int | None) -> None:
        """Let somebody watch."""
        audit = self._begin.rules.audit
        may = audit.live_view or not audit.screen_certificates
        if not self._has_begun or not may or not self.viewers.add(viewer, channel):
            self._reports.pass_on(nothing_more(self._begin.session, viewer, self.now()))
            return
        self._trail.findings.watched = True
        self.event({"event": "watched", "who": who})

    def unfollow(self, viewer: int) -> None:
        """Let somebody go."""
        if self.viewers.remove(viewer, self.now()):
            self.event({"event": "no longer watched"})
        self._trail.findings.watched = len(self.viewers) > 0

    def _redraw(self) -> None:
        if not self._failure:
            self._put(0, self._trail.draw, self.now())

    def control_is_back(self) -> None:
        """Let what waited for control catch up."""
        self._seals.catch_up()

    def control_is_gone(self) -> None:
        """Take that nobody is there to show anything to."""
        self.viewers.close(self.now())
        self._trail.findings.watched = False

    def sealed(self, note: Mapping[str, Any]) -> None:
        """Take a seal."""
        if self._has_begun:
            self._seals.write(note)

    async def end(self, verdict: str, reason: str) -> None:
        """Take the end of the session; return when its trail is closed and safe, and control told."""
        if self._has_ended:
            return
        self._has_ended = True
        self._seals.stop()
        at, size, recorded = self.now(), 0, False
        if self._has_begun:
            try:
                size = await self._close(at, verdict, reason)
                recorded = not self._failure and not self._is_blind
            except (RecordingFailedError, OSError) as error:
                log.error("trail not ended", session=self._begin.session, reason=str(error))
                verdict = "FAIL"
        self._recorder.remove(self._trail)
        self.viewers.close(at)
        self._reports.tell(self._ended(at, verdict, reason, size, recorded=recorded))

    def _ended(self, at: int, verdict: str, reason: str, size: int, *, recorded: bool) -> Ended:
        return Ended(
            session=self._begin.session, at=at, verdict=verdict, reason=reason, down=self.down, up=self.up, trail_bytes=size,
            recorded=recorded,
        )  # fmt: skip

    async def _close(self, at: int, verdict: str, reason: str) -> int:
        """Write the end, have it sealed, and close the trail. Return its size."""
        name, trail = self._begin.session, self._trail
        end = {"reason": reason, "verdict": verdict}
        frame, chain = await self._recorder.submit(lambda journal: trail.end(journal, at, end))
        unsealed = await self._seals.last(frame, chain) if self._begin.rules.audit.signed else None
        size = await self._recorder.submit(lambda journal: journal.size(name))
        recorded = not self._failure and not self._is_blind
        record = self._reports.end_record(self._ended(at, verdict, reason, size, recorded=recorded), unsealed)
        await asyncio.to_thread(self._reports.keep_end, name, record)
        await self._recorder.submit(lambda journal: journal.close(name))
        return size
