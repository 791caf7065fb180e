"""Trying a target: everything that a backup does there, with one small file that goes again (backup contract, section 10.7)."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from doorward.backup.failure import BackupError, on_this_node
from doorward.backup.targets.attempt import Secret, unknown
from doorward.backup.targets.port import Target, describe, open_target
from doorward.backup.targets.probes import Probes

SECONDS = 45.0
"""How long a check may take."""
_STALL_SECONDS = 15.0


class Tried(Struct, frozen=True):
    """A step of a check."""

    step: str
    result: Literal["failed", "ok"]
    milliseconds: int


@dataclass
class TargetCheck:
    """How the check of a target went: its steps, up to the first that failed. ``code`` None: all went well."""

    steps: list[Tried] = field(default_factory=list)
    code: str | None = None
    message: str | None = None
    _open: tuple[str, float] | None = None

    def begin(self, step: str | None) -> None:
        """End the step before, begin another."""
        self._end("ok")
        self._open = (step, time.monotonic()) if step is not None else None

    def fail(self, failure: BackupError) -> None:
        """End the step before with a failure."""
        self._end("failed")
        self.code, self.message = failure.code, failure.message

    def _end(self, result: Literal["failed", "ok"]) -> None:
        if self._open is not None:
            step, began = self._open
            self.steps.append(Tried(step, result, round((time.monotonic() - began) * 1000)))
            self._open = None

    def body(self) -> dict[str, object]:
        """Return it as on the wire."""
        steps = [{"milliseconds": tried.milliseconds, "result": tried.result, "step": tried.step} for tried in self.steps]
        return {"code": self.code, "message": self.message, "result": "failed" if self.code else "ok", "steps": steps}


def try_target(  # noqa: PLR0913 - the limit has a default
    target: Mapping[str, Any],
    secret: Secret,
    *,
    certificate: Secret = unknown,
    node: str,
    per_node: bool,
    workdir: Path,
    probes: Probes,
    stop: threading.Event | None = None,
    seconds: float = SECONDS,
) -> TargetCheck:
    """Write, read back and delete a file of our own in ``config``. Blocks; what goes wrong is in the answer.

    Arguments are those of ``open_target``. The directories of backups are made where they are missing, and stay.
    """
    check = TargetCheck()
    try:
        with on_this_node():
            workdir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="probe-", dir=workdir) as directory, open_target(
                target, secret, certificate=certificate, node=node, per_node=per_node,
                stop=stop or threading.Event(), workdir=workdir,
                attempt_seconds=seconds, stall_seconds=min(_STALL_SECONDS, seconds), step=check.begin,
            ) as opened:  # fmt: skip
                check.begin("write")
                _exercise(opened, Path(directory), check, describe(target), probes)
        check.begin(None)
    except BackupError as failure:
        check.fail(failure)
    return check


def _exercise(target: Target, directory: Path, check: TargetCheck, label: str, probes: Probes) -> None:
    """Use the target as a backup does. The file goes, whatever happens; so does what killed checks left."""
    name, content = probes.new()
    sent, back = directory / "sent", directory / "back"
    sent.write_bytes(content)
    target.prepare()
    entries = target.names()
    before = {entry.name for entry in entries}
    probes.sweep(target, entries, directory, datetime.now(UTC))
    try:
        target.put(name, sent)
        check.begin("read_back")
        target.fetch(name, back, len(content))
        if back.read_bytes() != sent.read_bytes():
            raise BackupError("verify_failed", f"Reading back, {label}: the file is not the one that was written.")
        check.begin("delete")
        target.delete(name)
    except BackupError:
        with suppress(BackupError):
            target.delete(name)
        raise
    after = {entry.name for entry in target.names()}
    if name in after:
        raise BackupError("verify_failed", f"Deleting, {label}: the file is still there.")
    # Others may add files in the meantime, and their temporary files come and go.
    if gone := sorted(other for other in before - after if not other.startswith(".")):
        raise BackupError("verify_failed", f"Comparing, {label}: {gone[0]} is not there any more.")
