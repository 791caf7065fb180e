"""Sessions that control finds when it comes, or has lost sight of: taken over by their rows, or their rows closed.

A row is closed only when nobody holds the journal of its worker any more: a worker that control does not reach still records.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from doorward.proxy import messages
from doorward.proxy.control import rows
from doorward.proxy.control.connections import Sealing, active
from doorward.proxy.control.notices import Notices
from doorward.proxy.control.session import Located, MisbehaviourError, Phase, Session
from doorward.proxy.control.sessions import Sessions
from doorward.recording.format import TrailDamagedError, frames, read_beginning
from doorward.recording.journal import SEGMENTS, SUFFIX
from doorward.recording.records import MAX_TIME
from doorward.recording.trail_file import TrailFile
from doorward.sessions.catalogue.port import Catalogue, CatalogueUnavailableError
from doorward.sessions.catalogue.rows import Facts, SessionRow
from doorward.sessions.recorded_text import recorded_text
from doorward.sessions.trails import Trails
from doorward.transaction.candidate import Running

WAIT_SECONDS = 10.0
"""How long workers have to come before rows are closed."""
MAX_LAST = 1000
"""Last seals that are remembered beside the rows."""
_CUT = "The session was cut off: its worker is gone."

log = structlog.get_logger()


@dataclass
class Adoption:
    """``trails``: where workers keep journals and trails."""

    catalogue: Catalogue
    sessions: Sessions
    notices: Notices
    running: Callable[[], Running]
    trails: Path
    _last: dict[str, str] = field(default_factory=dict)
    """What the last seals of trails are over, until their rows have it."""

    async def adopt(self, key: str, worker: str | None = None) -> Session | None:
        """Return a session that control knows nothing of, by its row; None: there is no such session, or it is closed.

        ``worker``: who has it; None: its worker is none of those that control is connected to, or has let go of it.
        """
        row = await asyncio.to_thread(self.catalogue.session, key)
        if row is None or row.ended is not None or (worker is not None and row.extra.get(rows.WORKER) != worker):
            return None
        running = self.running()
        connection = active(running.snapshot, row.policy_key, running.number)
        if connection is None:
            return None
        session = Session(
            key, row.number, connection, (row.client.ip, row.client.port), (row.target.ip, row.target.port), row.began / 1000
        )
        session.phase, session.is_kept, session.is_adopted = Phase.CONNECTED, True, True
        session.host = str(row.extra.get(rows.WORKER, ""))
        session.down, session.up = row.down, row.up
        session.person, session.user, session.method = rows.person_of(row), str(row.extra.get(rows.USER, "")), row.auth_method
        if row.server.ip:
            session.target = Located(row.server.name, (row.server.ip,), row.server.port, row.server_user)
        self.sessions.add(session)
        log.info("session adopted", session=session.id, worker=session.host)
        return session

    async def lives(self, worker: str) -> bool:
        """Whether a worker lives, connected or not: what it left is nobody else's to hand in."""
        return await asyncio.to_thread(is_held, self.trails, worker)

    async def last_sealing(self, worker: str, wanted: messages.WantSeal) -> Sealing | None:
        """Return how the trail of a session that is over gets its last seal, by its policy of now; None: it gets none.

        Whoever could have another end signed later could write the trail anew: there is one last seal, for the worker that had
        the session, or where that is dead for the one that hands in what it left. Raises MisbehaviourError, and
        CatalogueUnavailableError where it can't be kept.
        """
        row = await asyncio.to_thread(self.catalogue.session, wanted.session)
        if row is None or not wanted.last:
            return None
        host = str(row.extra.get(rows.WORKER, ""))
        if host != worker and await self.lives(host):
            raise MisbehaviourError("wanted a seal for a session of another worker")
        running = self.running()
        connection = active(running.snapshot, row.policy_key, running.number)
        if connection is None or not await self.keep_last(wanted, str(row.extra.get(rows.SEALED, ""))):
            return None
        return connection.sealing

    async def keep_last(self, wanted: messages.WantSeal, kept: str = "") -> bool:
        """Keep what the last seal of a trail is over; False: there is one over something else."""
        over = f"{wanted.frame} {wanted.chain.hex()}"
        if self._last.setdefault(wanted.session, kept or over) != over:
            log.warning("a trail has its last seal already", session=wanted.session)
            return False
        while len(self._last) > MAX_LAST:
            del self._last[next(iter(self._last))]
        if kept != over:
            await self.catalogue.update(wanted.session, Facts(extra={rows.SEALED: over}))
        return True

    async def index(self, key: str) -> None:
        """Index a session whose worker is dead by its trail: nobody else tells of its last lines.

        Raises CatalogueUnavailableError.
        """
        row = await asyncio.to_thread(self.catalogue.session, key)
        if row is None or row.ended is not None:
            return
        for channel, lines in await asyncio.to_thread(recorded_text, Trails(self.trails), row):
            await self.catalogue.text(key, channel, lines)

    async def close_rows(self) -> bool:
        """Close the rows of sessions that nobody has any more; whether some are left that may still be recorded."""
        left = False
        try:
            found = await asyncio.to_thread(self.catalogue.open_sessions)
        except CatalogueUnavailableError as error:
            log.error("it can't be seen which rows are to be closed", reason=str(error))
            return True
        for row in found:
            session = self.sessions.find(row.key)
            if session is not None and session.worker is not None:
                continue
            if await asyncio.to_thread(is_held, self.trails, str(row.extra.get(rows.WORKER, ""))):
                left = True
                continue
            try:
                await self._close(row, session)
            except CatalogueUnavailableError as error:
                log.error("a row can't be closed", session=row.session_id, reason=str(error))
                left = True
        return left

    async def _close(self, row: SessionRow, session: Session | None) -> None:
        at = await asyncio.to_thread(recorded_until, self.trails / f"{row.key}{SUFFIX}")
        down, up = (session.down, session.up) if session is not None else (row.down, row.up)
        await self.index(row.key)
        await self.catalogue.recovered(row.key, rows.cut(at, _CUT, max(down, row.down), max(up, row.up)))
        log.warning("session cut off", session=row.session_id, recorded_ms=at)
        if session is not None:
            self.notices.tell("session_ended", f"The session {session.id} was cut off", session, verdict="FAIL", reason=_CUT)
            self.sessions.end(session)


def is_held(trails: Path, worker: str) -> bool:
    """Whether a worker lives, by the lock that it holds on its journal. Blocks for a moment."""
    if not worker.isalnum():
        return False
    for segment in SEGMENTS:
        try:
            descriptor = os.open(trails / f"{worker}.{segment}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def recorded_until(path: Path) -> int:
    """Return the last moment in a trail, in milliseconds; 0 where there is none. Reads the whole file."""
    until = 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return until
    try:
        data = TrailFile(descriptor)
        _, end = read_beginning(data)
        for frame in frames(data, end):
            until = min(max(until, frame.at), MAX_TIME)
    except (OSError, TrailDamagedError):
        return until
    finally:
        os.close(descriptor)
    return until
