"""Packets of one direction (RFC 4253, section 6): the sequence number, the padding and the cipher have one owner each.

Payloads lie in a shared buffer at `PAYLOAD`; see `ciphers` for its layout.
"""

from __future__ import annotations

import os

from doorward.proxy.ssh.wire.errors import IntegrityError, ProtocolViolationError
from doorward.proxy.ssh.wire.protection import FORGED, PAYLOAD, PLAIN, NoCipher, Opener, Sealer

MAX_PACKET = 256 * 1024
"""Bytes of a packet without its code: what OpenSSH takes."""
MAX_EARLY_PACKET = 35_000
"""The same before a login: what RFC 4253, section 6.1 obliges to take."""
MIN_PADDING = 4
_MASK = 0xFFFF_FFFF
# The same for all lengths: an attacker who changes a packet must not be shown what the length was decrypted to.
_WRONG_LENGTH = "The length of a packet is wrong"
# Padding is encrypted, so it need not be fresh; it must not be what the buffer held before, nor what the other side chose.
_PADDING = os.urandom(256)


class PacketReceiver:
    """Takes packets out of a buffer."""

    __slots__ = ("_length", "_opener", "_refused", "bytes", "limit", "packets", "sequence", "size")

    def __init__(self) -> None:
        self._opener: Opener = NoCipher()
        self._length = 0
        self._refused: Exception | None = None
        self.sequence = 0
        self.limit = MAX_EARLY_PACKET
        self.bytes = 0
        self.packets = 0
        self.size = 0
        """Length of the payload taken last."""

    def use(self, opener: Opener, *, restart: bool) -> None:
        """Take new keys. ``restart``: strict key exchange, the sequence number begins again."""
        self._opener = opener
        self.bytes = self.packets = 0
        if restart:
            self.sequence = 0

    def take(self, buffer: memoryview, start: int, end: int, plain: memoryview) -> int:
        """Decrypt the packet at ``start`` into ``plain``; where it ends, or 0 if it is not there as a whole.

        ``start`` must be 4 or more: the bytes before it are used for the code.
        """
        opener = self._opener
        length = self._length
        if self._refused is not None:
            return self._refuse(self._refused, end - start)
        if not length:
            if end - start < opener.header:
                return 0
            length = opener.length(self.sequence, buffer, start)
            is_whole = not (length if opener.length_apart else length + 4) % opener.block
            if not 1 + MIN_PADDING <= length <= self.limit or not is_whole:
                return self._refuse(ProtocolViolationError(_WRONG_LENGTH), end - start)
            self._length = length
        stop = start + 4 + length + opener.tag
        if stop > end:
            return 0
        self._length = 0
        try:
            opener.open(self.sequence, buffer, start, length, plain)
        except IntegrityError as error:
            return self._refuse(error, end - start)
        size = length - 1 - plain[PLAIN]
        if size < 1 or plain[PLAIN] < MIN_PADDING:
            raise ProtocolViolationError("The padding of a packet is wrong")
        self.size = size
        self.sequence = (self.sequence + 1) & _MASK
        self.packets += 1
        self.bytes += length
        return stop

    def _refuse(self, error: Exception, size: int) -> int:
        """Refuse a packet of which ``size`` bytes came.

        Where blocks are chained, not before as many came as a packet can have at most: how many it took, and what was said of
        them, would tell an attacker four bytes of any block that was sent before (CPNI-957037); OpenSSH does the same.
        """
        if not self._opener.is_chained:
            raise error
        if size >= self.limit:
            raise IntegrityError(FORGED)
        self._refused = error
        return 0


class Sender:
    """Puts packets into a buffer."""

    __slots__ = ("_sealer", "bytes", "packets", "sequence")

    def __init__(self) -> None:
        self._sealer: Sealer = NoCipher()
        self.sequence = 0
        self.bytes = 0
        self.packets = 0

    def use(self, sealer: Sealer, *, restart: bool) -> None:
        """Take new keys. ``restart``: strict key exchange, the sequence number begins again."""
        self._sealer = sealer
        self.bytes = self.packets = 0
        if restart:
            self.sequence = 0

    def room(self, size: int) -> int:
        """The most bytes that a packet with so long a payload takes."""
        return 4 + 1 + size + MIN_PADDING + self._sealer.block + self._sealer.tag

    def put(self, plain: memoryview, size: int, out: memoryview, at: int) -> int:
        """Encrypt the payload of ``size`` bytes in ``plain`` to ``out`` at ``at``; where it ends. ``at`` must be 4 or more."""
        sealer = self._sealer
        block = sealer.block
        length = 1 + size
        padding = block - (length if sealer.length_apart else length + 4) % block
        if padding < MIN_PADDING:
            padding += block
        plain[PLAIN] = padding
        plain[PAYLOAD + size : PAYLOAD + size + padding] = _PADDING[:padding]
        length += padding
        sealer.seal(self.sequence, plain, length, out, at)
        self.sequence = (self.sequence + 1) & _MASK
        self.packets += 1
        self.bytes += length
        return at + 4 + length + sealer.tag
