"""Kind `NetworkLine`: one line of a text file that belongs to others too."""

from __future__ import annotations

from dataclasses import replace

from typing_extensions import override

from doorward.host.errors import HostError
from doorward.host.files import FileEntry, Files
from doorward.host.kinds.present import PresentKind
from doorward.host.network_resources import NetworkLine
from doorward.host.plan import HostWarning


class LineKind(PresentKind[NetworkLine]):
    """Handles `NetworkLine` over a `Files`."""

    rank = 9

    def __init__(self, files: Files) -> None:
        """`files` of the host."""
        self._files = files

    @override
    def touches(self, resource: NetworkLine) -> str | None:
        """The file."""
        return resource.path

    @override
    def exists(self, resource: NetworkLine) -> bool:
        """The line stands there once, just so."""
        line = resource
        return self._found(line) == [line.text]

    @override
    def create(self, resource: NetworkLine, deadline: float) -> None:
        """In place of the first line with the key, else at the end."""
        self._write(resource, [resource.text])

    @override
    def delete(self, resource: NetworkLine) -> None:
        """Remove the line."""
        self._write(resource, [])

    @override
    def check(self, resource: NetworkLine) -> list[HostWarning]:
        """Nothing to warn of."""
        return []

    @override
    def capture(self, resource: NetworkLine) -> object:
        """The whole file."""
        return self._files.read(resource.path)

    @override
    def reinstate(self, resource: NetworkLine, before: object, deadline: float) -> None:
        """The whole file."""
        path = resource.path
        if self._files.read(path) == before:
            return
        if isinstance(before, FileEntry):
            self._files.write(path, before)
        else:
            self._files.remove(path)

    @override
    def text(self, resource: NetworkLine) -> str:
        """See `PresentKind.text`."""
        return f"line {resource.key} of {resource.path}"

    def _found(self, line: NetworkLine) -> list[str]:
        return [text for text in self._lines(line) if text.split()[:1] == [line.key]]

    def _lines(self, line: NetworkLine) -> list[str]:
        entry = self._files.read(line.path)
        if entry is not None and entry.target is not None:
            raise HostError(f"{line.path} is a symbolic link; its line {line.key} can't be changed")
        return entry.content.decode("utf-8", "surrogateescape").splitlines() if entry is not None else []

    def _write(self, line: NetworkLine, wanted: list[str]) -> None:
        lines: list[str] = []
        for text in self._lines(line):
            if text.split()[:1] != [line.key]:
                lines.append(text)
            elif wanted:
                lines.append(wanted.pop())
        content = "".join(f"{text}\n" for text in [*lines, *wanted]).encode("utf-8", "surrogateescape")
        entry = self._files.read(line.path) or FileEntry()
        self._files.write(line.path, replace(entry, content=content))
