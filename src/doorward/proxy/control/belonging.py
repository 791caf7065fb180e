"""Whose session it is that a worker speaks of: its own, one that it had until control went away, or one that a dead worker left.

Reports and wishes for seals are taken from whoever may bring them; from anybody else they are misbehaviour.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from doorward.proxy import messages
from doorward.proxy.control import rows
from doorward.proxy.control.adoption import Adoption
from doorward.proxy.control.connections import Sealing
from doorward.proxy.control.reports import Report, Reports, end_of
from doorward.proxy.control.session import MisbehaviourError, Session, WorkerProxy
from doorward.proxy.control.sessions import Sessions
from doorward.sessions.catalogue.port import Catalogue


@dataclass
class Belonging:
    """Takes what is said of sessions that need not be with a worker any more."""

    sessions: Sessions
    adoption: Adoption
    reports: Reports
    catalogue: Catalogue

    async def report(self, worker: WorkerProxy, report: Report) -> None:
        """Take a report. Raises MisbehaviourError, CatalogueUnavailableError."""
        session = self.sessions.find(report.session)
        if session is None and report.session not in worker.strangers:
            session = await self.adoption.adopt(report.session)  # it ended while control was away
        if session is None:
            await self._late(worker, report)
        else:
            if session.worker is not worker:
                await self._left(worker, session, report)
            await self.reports.take(session, report)
        if report.serial:
            worker.noted[report.session] = max(worker.noted.get(report.session, 0), report.serial)

    async def sealing(self, worker: WorkerProxy, message: messages.WantSeal) -> Sealing | None:
        """Return how a trail is to be sealed; None: it is not. Raises MisbehaviourError, CatalogueUnavailableError."""
        session = self.sessions.find(message.session)
        if session is None:  # it is over, perhaps since control was away; its trail waits for its last seal
            return await self.adoption.last_sealing(worker.name, message)
        if session.worker is not worker and (
            session.worker is not None or (session.host != worker.name and await self.adoption.lives(session.host))
        ):
            raise MisbehaviourError("wanted a seal for a session that is not its own")
        if message.frame <= session.sealed:
            return None
        session.sealed = message.frame
        if message.last and session.is_kept and not await self.adoption.keep_last(message):
            return None
        return session.connection.sealing

    async def _left(self, worker: WorkerProxy, session: Session, report: Report) -> None:
        """Look whether a worker may tell of a session that it has not. Raises MisbehaviourError.

        It may have had it until control went away; and what a dead worker left is handed in by another: all but lines of text.
        """
        if session.worker is not None:
            raise MisbehaviourError("told of a session that is not its own")
        if session.host == worker.name:
            session.worker = worker
            worker.sessions.add(session)
        elif isinstance(report, messages.Text) or await self.adoption.lives(session.host):
            raise MisbehaviourError("told of a session of another worker")
        elif isinstance(report, messages.Ended):
            await self.adoption.index(session.key)

    async def _late(self, worker: WorkerProxy, report: Report) -> None:
        """Take what a worker that is gone, or that outlived an earlier control, left of a session that is over."""
        worker.strangers.discard(report.session)
        row = await asyncio.to_thread(self.catalogue.session, report.session)
        if row is None or not isinstance(report, messages.Ended):
            return
        host = str(row.extra.get(rows.WORKER, ""))
        if host != worker.name:
            if await self.adoption.lives(host):
                raise MisbehaviourError("told of a session of another worker")
            await self.adoption.index(row.key)
        await self.catalogue.end(report.session, end_of(report, row.down, row.up))
