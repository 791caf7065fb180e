"""The port of every target: one directory on another machine, a few files in it.

``open_target`` loads the module named after the type of the target; that module has a function ``opened`` for it.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

from msgspec import Struct

from doorward.backup.targets.attempt import Secret, Step, TargetAttempt, unknown
from doorward.backup.targets.limits import MAX_ARCHIVE, MAX_FILES, MAX_LISTING, MAX_MANIFEST

ATTEMPT_SECONDS = 1200.0
"""How long all work on a target may take."""
STALL_SECONDS = 120.0
"""How long nothing may move."""


class TargetFile(Struct, frozen=True):
    """A file on the target. ``size`` in bytes, ``modified`` in seconds since the epoch, None where the target has none."""

    name: str
    size: int
    modified: float | None


class Target(Protocol):
    """One logged-in connection to the directory ``<path>/[<node id>/]config`` of a target. A context manager.

    Everything blocks and raises BackupError. Names are single file names of letters, digits and ``. _ -``. Nothing that
    a caller does not name is ever changed: no other file, no mode, no owner.
    """

    def prepare(self) -> None:
        """Make ``config`` and the directory of the node where they are missing; nothing above."""

    def names(self) -> list[TargetFile]:
        """Return the files in ``config``, of whomever; none while it is not there."""

    def put(self, name: str, content: Path) -> None:
        """Write a file; the final name shows the whole content or nothing. Equal content there: done.

        ``name_exists`` when other content has the name, ``verify_failed`` when the target shows something else afterwards.
        What a broken earlier try left does not hinder.
        """

    def fetch(self, name: str, into: Path, most: int = MAX_ARCHIVE) -> None:
        """Copy a file to a new local file, mode 0600. ``no_such_path`` when there is none of that name.

        ``verify_failed`` when the server gives more than ``most`` bytes; then there is no local file.
        """

    def fetch_all(self, names: Sequence[str], into: Path, most: int = MAX_MANIFEST) -> None:
        """Copy files into an empty local directory, all over one connection; those that are not there any more are left out.

        ``most``: bytes of each.
        """

    def delete(self, name: str) -> None:
        """Delete the file of exactly this name; none there: done."""

    def partial(self) -> list[TargetFile]:
        """Return left-over temporary files with the id of this node in the name, and probes of whomever."""

    def close(self) -> None:
        """Log out and forget the secrets. Never fails."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def open_target(  # noqa: PLR0913 - the limits have defaults
    target: Mapping[str, Any],
    secret: Secret,
    *,
    certificate: Secret = unknown,
    node: str,
    per_node: bool,
    stop: threading.Event,
    workdir: Path,
    attempt_seconds: float = ATTEMPT_SECONDS,
    stall_seconds: float = STALL_SECONDS,
    step: Step | None = None,
) -> Target:
    """Connect and log in. Blocks; raises BackupError.

    ``target``: the stored body of a policy's target. ``certificate`` gives the one behind a key, in PEM. ``node``: the id of
    this node. ``per_node``: whether it has a directory of its own. ``stop`` ends everything with ``cancelled``. ``workdir``: a
    local directory for files without secrets. ``step`` is told what begins: ``resolve``, ``connect``, ``identify``,
    ``authenticate``.
    """
    deadline = time.monotonic() + attempt_seconds
    attempt = TargetAttempt(node, per_node, stop, workdir, deadline, stall_seconds, describe(target), step, certificate)
    attempt.check("Connecting")
    driver = importlib.import_module(f"doorward.backup.targets.{target['type']}")
    return cast("Target", driver.opened(target, secret, attempt))


def bounded(attempt: TargetAttempt, doing: str, entries: Iterable[TargetFile]) -> list[TargetFile]:
    """Return the entries of a list. ``protocol_unavailable`` when there are more of them than any directory of ours has."""
    found: list[TargetFile] = []
    size = 0
    for entry in entries:
        size += len(entry.name)
        if len(found) >= MAX_FILES or size > MAX_LISTING:
            raise attempt.failed("protocol_unavailable", doing, f"the directory holds more than {MAX_FILES} files")
        found.append(entry)
    return found


def describe(target: Mapping[str, Any]) -> str:
    """Return a target in one word without secrets, such as ``rsync://backup.example.com/srv/backup/doorward``."""
    kind = target["type"]
    if kind == "s3":
        return f"s3://{str(target['endpoint']).removeprefix('https://')}/{target['bucket']}/{target['prefix']}".rstrip("/")
    server = str(target["server"]["value"])
    host = f"[{server}]" if ":" in server else server
    usual = {"rsync": 22, "smb": 445}.get(kind)
    port = f":{target['port']}" if usual is not None and target["port"] != usual else ""
    path = str(target["path"])
    if kind == "smb":
        path = f"/{target['share']}/{path}".rstrip("/")
    return f"{kind}://{host}{port}{path if path.startswith('/') else '/~/' + path}"
