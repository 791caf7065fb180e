"""The trails of this node's sessions as files: opened without trust in who wrote them, read as far as there are keys, deleted.

Session workers write them, on installed systems under a user of their own. So no link is followed on the way, only plain files
are opened, and a file that becomes shorter is an error, no crash.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import IO, Any, Final, Protocol

from doorward.recording.format import TrailDamagedError
from doorward.recording.reader import TrailReader
from doorward.recording.trail_file import TrailFile, TrailPieces
from doorward.sessions.catalogue.rows import SessionRow, TrailArchive

DIRECTORY: Final = "trails"
"""Name of the directory of trails in the state directory."""
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}\Z")
_MAX_PARTS = 4
_WAY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Keys = Callable[[], Mapping[str, bytes]]
"""Returns the private keys (PEM) that this node may open trails with, by the SHA-256 fingerprint of their certificate."""


def no_keys() -> Mapping[str, bytes]:
    """Stand for a node that may open no encrypted trail."""
    return {}


class TrailMissingError(Exception):
    """There is no trail, or none any more."""


class EncryptedTrailError(Exception):
    """The trail is encrypted, and no key here opens it. ``recipients``: fingerprints of the certificates whose keys do."""

    def __init__(self, recipients: tuple[str, ...]) -> None:
        self.recipients = recipients
        super().__init__("the trail is encrypted")


class TrailUnavailableError(Exception):
    """The trail is in an archive, and can't be had from there. ``code`` is one word; the message is for people, without secrets.

    ``is_lasting``: what is there is not what was sent, or is gone; else it may be had later.
    """

    def __init__(self, code: str, message: str, *, is_lasting: bool = False) -> None:
        self.code, self.message, self.is_lasting = code, message, is_lasting
        super().__init__(message)


class ArchivedTrails(Protocol):
    """Gets trails that are no longer here."""

    def open(self, row: SessionRow) -> IO[bytes]:
        """Open a copy that is proven to be what was sent. Blocks for some seconds. Raises TrailUnavailableError, OSError."""

    def is_known(self, archive: TrailArchive) -> bool:
        """Whether the configuration says how to reach an archive."""

    def forget(self, key: str) -> None:
        """Remove the copies of a session's trail that are here for a while. Raises OSError."""


class Trails:
    """The trails below a directory; ``archived`` gets those that left it."""

    def __init__(self, directory: Path, keys: Keys = no_keys) -> None:
        self.directory, self._keys = directory, keys
        self.archived: ArchivedTrails | None = None

    def may_read(self, row: SessionRow) -> bool:
        """Whether the trail of a session can be read here, by what its row says."""
        return not row.recipients or not self._keys().keys().isdisjoint(row.recipients)

    def is_archive_known(self, row: SessionRow) -> bool:
        """Whether the trail of a session, of whatever node, is in an archive that this node can ask."""
        archive = row.archive if row.is_archived else None
        return archive is not None and self.archived is not None and self.archived.is_known(archive)

    def open(self, row: SessionRow) -> IO[bytes]:
        """Open the trail of a session, wherever it is. Raises TrailMissingError, TrailUnavailableError, OSError."""
        if row.has_local_trail:
            try:
                return self.open_here(row)
            except TrailMissingError:
                if not row.is_archived:
                    raise
        if row.is_archived and self.archived is not None:
            return self.archived.open(row)
        raise TrailMissingError

    def open_here(self, row: SessionRow) -> IO[bytes]:
        """Open the trail of a session on this node. Raises TrailMissingError, OSError."""
        if not row.trail:
            raise TrailMissingError
        with self._way(row.trail) as (directory, name):
            descriptor = os.open(name, _FILE, dir_fd=directory)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise TrailMissingError
        return os.fdopen(descriptor, "rb")

    @contextmanager
    def reading(self, row: SessionRow) -> Iterator[TrailReader]:
        """Give a reader of what the session showed, for the time of a block.

        Raises TrailMissingError, TrailUnavailableError, EncryptedTrailError, TrailDamagedError, OSError.
        """
        with self.open(row) as file:
            yield self.opened(TrailFile(file.fileno()))

    def opened(self, data: TrailPieces) -> TrailReader:
        """Return a reader of what a trail shows. Raises EncryptedTrailError, TrailDamagedError."""
        reader = TrailReader(data)
        if reader.keys.screen is None:
            recipients = _recipients(reader.header)
            key = next((pem for name, pem in self._keys().items() if name in recipients), None)
            reader = TrailReader(data, key)
            if reader.keys.screen is None:
                raise EncryptedTrailError(recipients)
        return reader

    def delete(self, path: str) -> None:
        """Delete a trail by its path below the directory; it may be gone already. What is in an archive stays. Raises OSError."""
        if self.archived is not None:
            self.archived.forget(PurePath(path).stem)
        with suppress(TrailMissingError), self._way(path) as (directory, name):
            os.unlink(name, dir_fd=directory)
            os.fsync(directory)

    @contextmanager
    def _way(self, path: str) -> Iterator[tuple[int, str]]:
        """Give the directory of a trail and its name there. Raises TrailMissingError, OSError."""
        parts = path.split("/")
        if len(parts) > _MAX_PARTS or not all(_PART.match(part) for part in parts):
            raise TrailMissingError
        opened: list[int] = []
        try:
            opened.append(os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            for part in parts[:-1]:
                opened.append(os.open(part, _WAY, dir_fd=opened[-1]))
            yield opened[-1], parts[-1]
        except (FileNotFoundError, NotADirectoryError):
            raise TrailMissingError from None
        finally:
            for descriptor in opened:
                os.close(descriptor)


def _recipients(header: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return tuple(str(name) for name in header["keys"]["screen"]["recipients"])
    except (KeyError, TypeError):
        raise TrailDamagedError("the header does not say who it is for") from None
