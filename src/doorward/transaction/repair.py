"""Putting the host back to what runs, where somebody else changed it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

import structlog
from msgspec.structs import replace

from doorward.host.engine import ApplyError, HostError
from doorward.host.resources import HostResource
from doorward.store.port import CommitRecord, Intent
from doorward.transaction.pipeline import SYSTEM, Pipeline
from doorward.tree.times import now

log = structlog.get_logger()


def repair(pipeline: Pipeline, wanted: Callable[[], Sequence[HostResource]], user: str = SYSTEM) -> CommitRecord:
    """Make the host have what the running revision says again, through the engine. Runs in the commit thread.

    ``wanted`` returns the resources that count, of what runs by then; ``user`` is who asked for it. It is journalled like a
    commit, and its record names the revision that runs. Raises ApplyFailed.
    """
    record = CommitRecord(str(uuid.uuid4()), user, now(), "applying")
    pipeline.now_doing[record.id] = record
    try:
        desired = wanted()
        pipeline.apply(pipeline.host.plan(desired, desired, full=True), Intent(record.id, ()), record)
        done = replace(record, state="done", finished=now(), revision=pipeline.running.number)
        pipeline.store.close_journal(done)
    except ApplyError as error:
        raise pipeline.failed(record, error) from error
    except HostError as failure:
        raise pipeline.failed(record, ApplyError("look at the host", "", failure.reason, restored=True)) from failure
    finally:
        if not pipeline.now_doing[record.id].finished:
            del pipeline.now_doing[record.id]
    log.warning("the host was put back", commit=record.id, revision=done.revision)
    return done
