"""`Files` in a dictionary, for the fake host and for what is tested over it."""

from __future__ import annotations

from doorward.host.errors import PathRefused
from doorward.host.files import FileEntry


class MemoryFiles:
    """Files and links in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self.entries: dict[str, FileEntry] = {}

    def read(self, path: str) -> FileEntry | None:
        """See `Files.read`."""
        return self.entries.get(path)

    def write(self, path: str, entry: FileEntry) -> None:
        """See `Files.write`."""
        if not path.startswith("/") or ".." in path.split("/"):
            raise PathRefused(f"{path!r} is not a plain absolute path")
        self.entries[path] = entry

    def remove(self, path: str) -> None:
        """See `Files.remove`."""
        self.entries.pop(path, None)

    def names(self, directory: str) -> list[str]:
        """See `Files.names`."""
        return sorted(path.rsplit("/", 1)[1] for path in self.entries if path.rsplit("/", 1)[0] == directory)
