"""Fields of messages (RFC 4251, section 5)."""

from __future__ import annotations

from collections.abc import Iterable

from doorward.proxy.ssh.wire.errors import ProtocolViolationError


def uint32(value: int) -> bytes:
    """Four bytes, the highest first."""
    return value.to_bytes(4, "big")


def string(value: bytes | str) -> bytes:
    """A length and its bytes; text in UTF-8."""
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return len(data).to_bytes(4, "big") + data


def names(values: Iterable[str]) -> bytes:
    """A list of names."""
    return string(",".join(values))


def boolean(value: bool) -> bytes:  # noqa: FBT001 - the field itself
    """One byte."""
    return b"\x01" if value else b"\x00"


class Fields:
    """Reads a message field by field; what does not fit is a violation of the protocol."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, at: int = 1) -> None:
        self._data = data
        self._at = at

    def take(self, count: int) -> bytes:
        """So many bytes. Raises ProtocolViolationError."""
        end = self._at + count
        if end > len(self._data):
            raise ProtocolViolationError("A message is shorter than its fields say")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def byte(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def boolean(self) -> bool:
        """One byte; anything but 0 is true."""
        return self.take(1) != b"\x00"

    def uint32(self) -> int:
        """A number."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """Bytes with their length in front."""
        return self.take(self.uint32())

    def text(self) -> str:
        """A string in UTF-8; bytes that are none are kept as surrogates, so that nothing is altered."""
        return self.string().decode("utf-8", "surrogateescape")

    def names(self) -> tuple[str, ...]:
        """A list of names. Raises ProtocolViolationError."""
        value = self.string()
        if not value:
            return ()
        try:
            return tuple(value.decode("ascii").split(","))
        except UnicodeDecodeError:
            raise ProtocolViolationError("A list of names is not ASCII") from None

    def rest(self) -> bytes:
        """What is left, unread."""
        return self._data[self._at :]

    def read(self) -> bytes:
        """What was read so far, the number of the message included."""
        return self._data[: self._at]

    def end(self) -> None:
        """Insist that nothing is left. Raises ProtocolViolationError."""
        if self._at != len(self._data):
            raise ProtocolViolationError("A message is longer than its fields")
