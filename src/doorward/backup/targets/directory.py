"""What the directories of all targets have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from doorward.backup.failure import BackupError
from doorward.backup.targets.attempt import TargetAttempt
from doorward.backup.targets.files import LocalStorageError
from doorward.backup.targets.limits import MAX_ARCHIVE, MAX_MANIFEST
from doorward.backup.targets.port import TargetFile


class TargetDirectory(ABC):
    """See `port.Target`. A context manager."""

    def __init__(self, attempt: TargetAttempt) -> None:
        self._attempt = attempt

    @abstractmethod
    def names(self) -> list[TargetFile]:
        """List ``config``."""

    @abstractmethod
    def fetch(self, name: str, into: Path, most: int = MAX_ARCHIVE) -> None:
        """Read a file."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the server."""

    def fetch_all(self, names: Sequence[str], into: Path, most: int = MAX_MANIFEST) -> None:
        """Read files, one after the other: the connection lasts."""
        for name in names:
            try:
                self.fetch(name, into / name, most)
            except BackupError as failure:
                if failure.code != "no_such_path":
                    raise

    def partial(self) -> list[TargetFile]:
        """List what has the name of a temporary file of ours, or of a probe."""
        return [entry for entry in self.names() if self._attempt.leftover(entry.name)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class DrivenDirectory(TargetDirectory):
    """One behind a driver that refuses with OSError."""

    @contextmanager
    def asking(self, doing: str) -> Iterator[None]:
        """Turn trouble with the driver, or with files here, into BackupError."""
        self._attempt.check(doing)
        try:
            yield
        except LocalStorageError as error:
            raise self._attempt.failed("no_local_space", doing, f"{error.strerror} on this machine") from None
        except OSError as error:
            code, words = self._meaning(error)
            raise self._attempt.failed(code, doing, words) from None

    def _meaning(self, error: OSError) -> tuple[str, str]:
        """Return the code and the words of what the driver says."""
        return "connection_lost", error.strerror or "no reason given"
