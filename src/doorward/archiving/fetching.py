"""Trails that left the node, fetched when somebody looks at one: whole, proven by its digest, kept for a while.

Nothing is shown of a trail before all of it is proven to be what was sent. Copies go when they
were not used for a day.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWaitingError
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import structlog
from typing_extensions import override

from doorward.archiving.bucket import open_bucket
from doorward.archiving.policies import policy_of
from doorward.backup.failure import BackupError, on_this_node
from doorward.backup.node import NodeView
from doorward.backup.targets.s3_objects import digest_of
from doorward.sessions.catalogue.rows import SessionRow, TrailArchive
from doorward.sessions.trails import ArchivedTrails, TrailUnavailableError

log = structlog.get_logger()

WAIT_SECONDS: Final = 8.0
"""How long somebody waits for a trail: other nodes give up after a little more. It comes all the same, for who asks again."""
MAX_FETCHED: Final = 4 << 30
"""Bytes of all copies together; a larger trail is alone."""
LEFT_FREE: Final = 256 << 20
"""Bytes that stay free on the disk."""
KEPT_SECONDS: Final = 86_400.0
_AT_ONCE: Final = 2
_MAX_LINE: Final = 16
"""Trails that are on their way, or wait for it."""
_LASTING: Final = frozenset({"no_such_path", "verify_failed", "policy_changed"})
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC

LOST: Final = frozenset({"no_such_path", "verify_failed"})
"""Codes of failures by which a recording is lost; others say nothing of this one alone."""
_ALERT_SECONDS: Final = 86_400.0
"""After so long it is told again what lasts."""
_MAX_ALERTED: Final = 1000

Told = Callable[[SessionRow, BackupError], None]
"""Told of a failure that does not pass by itself."""


class FetchedTrails(ArchivedTrails):
    """Copies of archived trails in a directory of their own."""

    def __init__(self, node: NodeView, told: Told, stop: threading.Event, directory: Path) -> None:
        self._node, self._told, self._stop, self._directory = node, told, stop, directory
        self._line: dict[str, Future[None]] = {}
        self._places = threading.Semaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._alerted: dict[tuple[str, str], float] = {}
        """When it was told last (``time.monotonic``): by session or bucket, and code."""

    @override
    def open(self, row: SessionRow) -> IO[bytes]:
        archive = row.archive
        if archive is None or not archive.sha256:
            raise TrailUnavailableError("no_such_path", "Nobody knows where the trail is.", is_lasting=True)
        path = self._path(row.key, archive)
        with suppress(FileNotFoundError):
            return _opened(path)
        coming = self._coming(row, archive, path)
        try:
            coming.result(WAIT_SECONDS)
            return _opened(path)
        except (StillWaitingError, FileNotFoundError):
            raise TrailUnavailableError("fetching", "The trail is on its way from the archive; ask again.") from None
        except BackupError as error:
            raise TrailUnavailableError(error.code, error.message, is_lasting=error.code in _LASTING) from None

    @override
    def is_known(self, archive: TrailArchive) -> bool:
        return policy_of(self._node.pipeline.running.snapshot, archive) is not None

    @override
    def forget(self, key: str) -> None:
        for path in self._directory.glob(f"{key}-*") if key.isalnum() and self._directory.is_dir() else ():
            path.unlink(missing_ok=True)

    def tidy(self, now: float | None = None) -> None:
        """Remove copies that were not used for a day. ``now`` is Unix time."""
        oldest = (time.time() if now is None else now) - KEPT_SECONDS
        for used, _, path in self._copies():
            if used < oldest:
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Begin without copies: the machine may have gone down before they were on the disk. Nothing is on its way."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _path(self, key: str, archive: TrailArchive) -> Path:
        return self._directory / f"{key}-{archive.sha256}"

    def _coming(self, row: SessionRow, archive: TrailArchive, path: Path) -> Future[None]:
        with self._lock:
            coming = self._line.get(path.name)
            if coming is None:
                if len(self._line) >= _MAX_LINE:
                    raise TrailUnavailableError("busy", "Too many trails are on their way from the archive; ask again.")
                coming = self._line[path.name] = Future()
                work = threading.Thread(target=self._bring, args=(row, archive, path, coming), name="archive-fetch", daemon=True)
                work.start()
            return coming

    def _bring(self, row: SessionRow, archive: TrailArchive, path: Path, coming: Future[None]) -> None:
        try:
            with self._places, on_this_node():
                self._fetch(archive, path)
        except BackupError as error:
            log.warning("a trail could not be fetched", session=row.key, code=error.code, message=error.message)
            self._alert(row, archive, error)
            self._over(path, coming, error)
        except Exception:
            log.exception("a trail could not be fetched", session=row.key)
            self._over(path, coming, BackupError("store_error", "An internal error occurred; the log has the details."))
        else:
            with self._lock:
                for known in [known for known in self._alerted if known[0] in {row.key, archive.target}]:
                    del self._alerted[known]
            self._over(path, coming, None)

    def _alert(self, row: SessionRow, archive: TrailArchive, error: BackupError) -> None:
        """Tell of what does not pass by itself, once a day while it lasts, however often somebody asks."""
        is_lost = error.code in LOST
        if (error.transient and not is_lost) or self._stop.is_set():
            return
        about, now = (row.key if is_lost else archive.target, error.code), time.monotonic()
        with self._lock:
            last = self._alerted.pop(about, None)
            is_told = last is None or now - last >= _ALERT_SECONDS
            self._alerted[about] = now if last is None or is_told else last
            while len(self._alerted) > _MAX_ALERTED:
                del self._alerted[next(iter(self._alerted))]
        if is_told:
            self._told(row, error)

    def _over(self, path: Path, coming: Future[None], error: BackupError | None) -> None:
        with self._lock:
            self._line.pop(path.name, None)
        if error is None:
            coming.set_result(None)
        else:
            coming.set_exception(error)

    def _fetch(self, archive: TrailArchive, path: Path) -> None:
        policy = policy_of(self._node.pipeline.running.snapshot, archive)
        if policy is None:
            raise BackupError("policy_changed", f"No archive policy names {archive.target} any more.")
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._make_room(archive.size)
        part = path.with_name(f".{path.name}")
        part.unlink(missing_ok=True)
        try:
            with open_bucket(self._node, policy, archive.size, self._stop) as bucket:
                bucket.fetch(archive, part)
            with part.open("rb") as file:
                if os.fstat(file.fileno()).st_size != archive.size or digest_of(file) != archive.sha256:
                    raise BackupError("verify_failed", f"{archive.path} in {archive.target} is not what was sent there.")
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Remove the copies that were not used for longest until there is room. Raises BackupError ``no_local_space``."""
        copies = sorted(self._copies())
        held = sum(size for _, size, _ in copies)
        while copies and held + size > MAX_FETCHED:
            _, freed, path = copies.pop(0)
            path.unlink(missing_ok=True)
            held -= freed
        found = os.statvfs(self._directory)
        if found.f_bavail * found.f_frsize < size + LEFT_FREE:
            raise BackupError("no_local_space", "There is no room on this node for a copy of the trail.")

    def _copies(self) -> list[tuple[float, int, Path]]:
        """Return when each copy was last used, its size, and where it is."""
        found = []
        for path in self._directory.iterdir() if self._directory.is_dir() else ():
            with suppress(FileNotFoundError):
                about = path.lstat()
                if not path.name.startswith("."):
                    found.append((about.st_mtime, about.st_size, path))
        return found


def _opened(path: Path) -> IO[bytes]:
    """Open a copy, and note that it was used. Raises FileNotFoundError."""
    descriptor = os.open(path, _FLAGS)
    os.utime(descriptor)
    return os.fdopen(descriptor, "rb")
