"""Lines and events out of answers that come in pieces."""

from __future__ import annotations

from collections.abc import Iterator


class LineSplitter:
    """Lines out of pieces of bytes.

    Only a line feed ends one: what sessions sent may hold everything else that Unicode takes for an end.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the lines that a piece ends."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)


class EventReader:
    """Server-sent events out of lines (WHATWG HTML, section 9.2)."""

    def __init__(self) -> None:
        self._name, self._data = "", list[str]()

    def feed(self, line: str) -> Iterator[tuple[str, str]]:
        """Yield the event, name and data, that a line ends."""
        name, _, value = line.partition(":")
        if name == "event":
            self._name = value.removeprefix(" ")
        elif name == "data":
            self._data.append(value.removeprefix(" "))
        elif not line and self._data:
            yield self._name, "\n".join(self._data)
            self._name, self._data = "", []
