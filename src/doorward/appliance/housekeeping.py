"""What is forgotten after a day: Idempotency-Keys, secrets that nobody came to own, uploaded archives and exports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from doorward.backup.temporary_files import TemporaryFiles
from doorward.transaction.confirmation import Confirmations
from doorward.transaction.pipeline import SYSTEM, Order, Pipeline
from doorward.transaction.queue import CommitQueue
from doorward.transaction.sweep import unowned
from doorward.tree.times import stamp

log = structlog.get_logger()

_EVERY_SECONDS = 3600


async def housekeeping(
    pipeline: Pipeline, queue: CommitQueue, confirmations: Confirmations, shelves: Sequence[TemporaryFiles]
) -> None:  # fmt: skip
    """Forget what is due, every hour, without end."""
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        try:
            for shelf in shelves:
                await asyncio.to_thread(shelf.tidy)
            await queue.run(lambda: _sweep(pipeline, confirmations))
        except Exception:
            log.exception("housekeeping failed")


def _sweep(pipeline: Pipeline, confirmations: Confirmations) -> None:
    """Runs in the commit thread."""
    before = stamp(datetime.now(UTC) - timedelta(days=1))
    pipeline.store.forget_commit_records(before)
    candidate = unowned(pipeline.tree, pipeline.running, before)
    if candidate is not None and confirmations.pending is None:
        pipeline.commit(candidate, Order(SYSTEM, "", "Secrets that nothing came to refer to."))
