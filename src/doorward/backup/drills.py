"""Restore drills: proof that what is stored can be restored, as far as this node can tell (section 8)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec.structs import replace

from doorward.backup.failure import BackupError
from doorward.backup.names import MANIFEST
from doorward.backup.records import LEVELS, Drill, untried
from doorward.backup.targets.limits import MAX_MANIFEST
from doorward.backup.targets.port import Target

Basis = Literal["target", "before_encryption", "upload"]


class DrillChecks(Protocol):
    """What an archive is checked with. Everything raises BackupError with what is wrong."""

    def size(self, manifest: bytes) -> int:
        """How many bytes the archive beside a manifest may have: as many as were written, where that is known."""

    def stored(self, name: str, archive: Path, manifest: bytes) -> None:
        """Both files belong together and to the name, unchanged and signed here; an encrypted one is for the configured key."""

    def readable(self, archive: Path, password: str | None) -> Any:
        """Open an archive and compare everything inside with its manifest; returns it opened."""

    def restorable(self, opened: Any) -> None:
        """Load an opened archive into an empty node."""


class Levels:
    """The levels of a drill as they are tried, one after the other."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {level: untried() for level in LEVELS}
        self.failure: BackupError | None = None

    def passed(self, level: str, basis: Basis) -> None:
        """Note a level that was proven."""
        self.found[level] = {"basis": basis, "passed": True}

    def attempt(self, level: str, basis: Basis, look: Callable[[], Any]) -> Any:
        """Try a level, unless one before it failed; return what the look returns."""
        if self.failure is not None:
            return None
        try:
            seen = look()
        except BackupError as failure:
            self.failure = failure
            self.found[level] = {"basis": basis, "passed": False}
            return None
        self.passed(level, basis)
        return seen

    def result(self, drill: Drill) -> Drill:
        """Return the drill with what was found."""
        if self.failure is not None:
            return replace(drill, levels=self.found, result="failed", code=self.failure.code, message=self.failure.message)
        whole = all(level["passed"] for level in self.found.values())
        return replace(drill, levels=self.found, result="passed" if whole else "partial")


@contextmanager
def fetched(target: Target, name: str, workdir: Path, most: int) -> Iterator[Path]:
    """A file of the target, of so many bytes at most, on this node for the time of a block."""
    path = workdir / f"{uuid.uuid4().hex}.fetched"
    try:
        target.fetch(name, path, most)
        yield path
    finally:
        path.unlink(missing_ok=True)


def fetched_manifest(target: Target, name: str, workdir: Path) -> bytes:
    """Return the manifest beside an archive."""
    with fetched(target, name + MANIFEST, workdir, MAX_MANIFEST) as path:
        return path.read_bytes()


@contextmanager
def read_back(checks: DrillChecks, levels: Levels, target: Target, name: str, workdir: Path) -> Iterator[Path]:
    """Try the level ``stored`` on a pair; its archive is on this node for the time of the block."""
    manifest = fetched_manifest(target, name, workdir)
    with fetched(target, name, workdir, checks.size(manifest)) as archive:
        levels.attempt("stored", "target", lambda: checks.stored(name, archive, manifest))
        yield archive


def stored(
    checks: DrillChecks, target: Target, name: str, drill: Drill, workdir: Path, *, proven: bool
) -> Drill:  # fmt: skip
    """Read the pair of a name back from the target and prove what can be proven.

    ``proven``: this very archive passed the upper levels when it was made, before it was encrypted. Raises BackupError where
    the target can't be read.
    """
    levels = Levels()
    with read_back(checks, levels, target, name, workdir) as archive:
        if not name.endswith(".gpg"):
            opened = levels.attempt("readable", "target", lambda: checks.readable(archive, None))
            levels.attempt("restorable", "target", lambda: checks.restorable(opened))
        elif proven and levels.failure is None:
            levels.passed("readable", "before_encryption")
            levels.passed("restorable", "before_encryption")
    return levels.result(drill)


def uploaded(
    checks: DrillChecks, archive: Path, password: str | None, drill: Drill, look: Callable[[Levels], str | None]
) -> Drill:
    """Prove the upper levels of an archive that somebody decrypted and uploaded.

    ``look`` then looks for the file on the target that it came from, tries the level ``stored`` on it, and returns its name.
    """
    levels = Levels()
    opened = levels.attempt("readable", "upload", lambda: checks.readable(archive, password))
    levels.attempt("restorable", "upload", lambda: checks.restorable(opened))
    name = None if levels.failure else look(levels)
    return levels.result(replace(drill, file=name))


def content_digest(archive: Path) -> str:
    """Return the SHA-256, in hex, that a manifest names as that of its content if the archive is what was encrypted."""
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
