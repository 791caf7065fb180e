"""Answers in the order of their questions, also where the gateway answers some of them itself (RFC 4254, sections 4 and 5.4)."""

from __future__ import annotations

from collections.abc import Callable

from doorward.proxy.ssh.wire.errors import ProtocolViolationError

MAX_OPEN = 1000
"""Questions of one side that are not answered yet."""


class _Slot:
    """An answer that is owed."""

    __slots__ = ("on_answer", "payload")

    def __init__(self, payload: bytes | None, on_answer: Callable[[bytes], None] | None = None) -> None:
        self.payload = payload
        self.on_answer = on_answer


class Replies:
    """The answers to one side's questions. ``send`` sends an answer to the side that asked."""

    __slots__ = ("_awaited", "_owed", "_send")

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        # Lists, not deques: each session has four of them, hardly ever with anything in them.
        self._owed: list[_Slot] = []
        self._awaited: list[_Slot | None] = []

    def expect(self, on_answer: Callable[[bytes], None] | None = None) -> None:
        """A question went on to the other side; its answer goes back. Raises ProtocolViolationError."""
        slot = _Slot(None, on_answer)
        self._owed.append(slot)
        self._awaited.append(slot)
        if len(self._owed) > MAX_OPEN:
            raise ProtocolViolationError("Too many requests wait for their answers")

    def expect_own(self) -> None:
        """A question of our own went to the other side; its answer ends here."""
        self._awaited.append(None)

    def answer(self, payload: bytes) -> None:
        """Answer a question here, when its turn comes. Raises ProtocolViolationError."""
        self._owed.append(_Slot(payload))
        if len(self._owed) > MAX_OPEN:
            raise ProtocolViolationError("Too many requests wait for their answers")
        self._flush()

    def take(self, payload: bytes) -> None:
        """Take an answer of the other side. Raises ProtocolViolationError."""
        if not self._awaited:
            raise ProtocolViolationError("An answer came to no request")
        slot = self._awaited.pop(0)
        if slot is None:
            return
        slot.payload = payload
        if slot.on_answer is not None:
            slot.on_answer(payload)
        self._flush()

    def _flush(self) -> None:
        while self._owed and self._owed[0].payload is not None:
            self._send(self._owed.pop(0).payload or b"")
