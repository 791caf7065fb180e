"""The third step of a restore: one commit that is the archive (section 9). Runs in the commit thread."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from doorward.backup.content import HISTORY
from doorward.backup.node import NodeView
from doorward.backup.restore.checking import RestoreCheck, check_identity, commit_message
from doorward.backup.restore.opening import Opened
from doorward.backup.restore.replacing import records, restored_candidate
from doorward.backup.restore.request import RestoreCancelledError, RestoreRequest
from doorward.host.files import make_directory, sync_directory
from doorward.store.port import CommitRecord
from doorward.transaction.order import Order
from doorward.transaction.startup import is_fresh


def apply(node: NodeView, request: RestoreRequest, checked: RestoreCheck, commit_id: str) -> CommitRecord:
    """Make the archive the running configuration. Runs in the commit thread.

    Raises RestoreCancelledError, or what a commit raises; then everything is as before, unless ApplyFailed says otherwise.
    """
    if not request.is_allowed():
        raise RestoreCancelledError
    opened, loaded = checked.opened, checked.loaded
    if opened is None or loaded is None:
        raise ValueError("Only what passed its checks is applied.")
    past = checked.past if is_fresh(node.pipeline.store) else None
    if request.scope == "system":
        check_identity(node, request, opened)  # it may have joined a cluster since
    with _history_beside(node, opened) if past is None else contextlib.nullcontext():
        candidate = restored_candidate(node, request, opened, loaded)
        written = records(node, opened) if request.scope == "system" else ()
        order = Order(
            request.user, request.address, commit_message(request, opened), request.confirm_seconds, commit_id,
            records=written, past=past, everything=True, account=request.account,
        )  # fmt: skip
        return node.pipeline.commit(candidate, order)


@contextlib.contextmanager
def _history_beside(node: NodeView, opened: Opened) -> Iterator[None]:
    """Keep the history of an archive as a file, unless the block fails. It is safe before the block begins."""
    manifest = opened.manifest
    name = f"history-{manifest['node']['id'][:8]}-{manifest['revision']['number']}.jsonl"
    path = node.state / "backup" / name
    make_directory(path.parent)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    was_there = path.exists()
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(opened.lines(HISTORY))
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        sync_directory(path.parent)
        yield
    except BaseException:
        if not was_there:
            path.unlink(missing_ok=True)
        raise
    finally:
        part.unlink(missing_ok=True)
