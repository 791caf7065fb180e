"""Kind `Line`: one line of a text file that belongs to others too."""

from __future__ import annotations

from dataclasses import replace

from doorward.host.errors import HostError
from doorward.host.files import Entry, Files
from doorward.host.kinds.present import PresentKind
from doorward.host.network_resources import Line
from doorward.host.resources import Resource


class LineKind(PresentKind):
    """Handles `Line` over a `Files`."""

    rank = 9
    removal_rank = 9

    def __init__(self, files: Files) -> None:
        """`files` of the host."""
        self._files = files

    def touches(self, resource: Resource) -> str | None:
        """The file."""
        return _line(resource).path

    def exists(self, resource: Resource) -> bool:
        """The line stands there once, just so."""
        line = _line(resource)
        return self._found(line) == [line.text]

    def create(self, resource: Resource, deadline: float) -> None:  # noqa: ARG002 - one write is not interrupted
        """In place of the first line with the key, else at the end."""
        self._write(_line(resource), [_line(resource).text])

    def delete(self, resource: Resource) -> None:
        """Remove the line."""
        self._write(_line(resource), [])

    def capture(self, resource: Resource) -> object:
        """The whole file."""
        return self._files.read(_line(resource).path)

    def reinstate(self, resource: Resource, before: object, deadline: float) -> None:  # noqa: ARG002 - one write is not interrupted
        """The whole file."""
        path = _line(resource).path
        if self._files.read(path) == before:
            return
        if isinstance(before, Entry):
            self._files.write(path, before)
        else:
            self._files.remove(path)

    def text(self, resource: Resource) -> str:
        """See `PresentKind.text`."""
        return f"line {_line(resource).key} of {_line(resource).path}"

    def _found(self, line: Line) -> list[str]:
        return [text for text in self._lines(line) if text.split()[:1] == [line.key]]

    def _lines(self, line: Line) -> list[str]:
        entry = self._files.read(line.path)
        if entry is not None and entry.target is not None:
            raise HostError(f"{line.path} is a symbolic link; its line {line.key} can't be changed")
        return entry.content.decode("utf-8", "surrogateescape").splitlines() if entry is not None else []

    def _write(self, line: Line, wanted: list[str]) -> None:
        lines: list[str] = []
        for text in self._lines(line):
            if text.split()[:1] != [line.key]:
                lines.append(text)
            elif wanted:
                lines.append(wanted.pop())
        content = "".join(f"{text}\n" for text in [*lines, *wanted]).encode("utf-8", "surrogateescape")
        entry = self._files.read(line.path) or Entry()
        self._files.write(line.path, replace(entry, content=content))


def _line(resource: Resource) -> Line:
    if isinstance(resource, Line):
        return resource
    raise TypeError(type(resource).__name__)
