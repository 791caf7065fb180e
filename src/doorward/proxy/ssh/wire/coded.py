"""Ciphers beside a code of authentication, in both orders (RFC 4253, section 6; OpenSSH's ``-etm``)."""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.ciphers import CipherContext
from msgspec import Struct

from doorward.proxy.ssh.wire.errors import IntegrityError
from doorward.proxy.ssh.wire.protection import FORGED, HEAD, PLAIN, UINT32


class Code(Struct, frozen=True):
    """A message authentication code: its hash, length of key and code, and whether it comes after encryption."""

    digest: str
    key: int
    size: int
    after: bool


class EncryptThenMac:
    """A stream cipher with one of the ``-etm@openssh.com`` codes: the length is in clear, the code covers what is sent."""

    header = 4
    length_apart = True
    is_chained = False

    def __init__(self, context: CipherContext, block: int, code: Code, key: bytes) -> None:
        self._context = context
        self._digest = code.digest
        self._key = key
        self.block = block
        self.tag = code.size

    def length(self, sequence: int, buffer: memoryview, start: int) -> int:
        """See `Opener`."""
        del sequence
        return int(UINT32.unpack_from(buffer, start)[0])

    def open(self, sequence: int, buffer: memoryview, start: int, length: int, plain: memoryview) -> None:
        """See `Opener`."""
        end = start + 4 + length
        UINT32.pack_into(buffer, start - 4, sequence)
        expected = hmac.digest(self._key, buffer[start - 4 : end], self._digest)[: self.tag]
        if not hmac.compare_digest(expected, buffer[end : end + self.tag]):
            raise IntegrityError(FORGED)
        self._context.update_into(buffer[start + 4 : end], plain[PLAIN:])

    def seal(self, sequence: int, plain: memoryview, length: int, out: memoryview, at: int) -> None:
        """See `Sealer`."""
        end = at + 4 + length
        UINT32.pack_into(out, at, length)
        self._context.update_into(plain[PLAIN : PLAIN + length], out[at + 4 :])
        # The code covers the sequence number as well, which is not sent: it stands for a moment over the packet before.
        before = bytes(out[at - 4 : at])
        UINT32.pack_into(out, at - 4, sequence)
        out[end : end + self.tag] = hmac.digest(self._key, out[at - 4 : end], self._digest)[: self.tag]
        out[at - 4 : at] = before


class EncryptAndMac:
    """A cipher with a code over the plain packet (RFC 4253, section 6.4): the first block has to be decrypted for the length."""

    length_apart = False
    is_chained = False

    def __init__(self, context: CipherContext, block: int, code: Code, key: bytes) -> None:
        self._context = context
        self._digest = code.digest
        self._key = key
        self._first = b""
        self.block = self.header = block
        self.tag = code.size

    def length(self, sequence: int, buffer: memoryview, start: int) -> int:
        """See `Opener`."""
        del sequence
        self._first = self._context.update(buffer[start : start + self.block])
        return int(UINT32.unpack_from(self._first)[0])

    def open(self, sequence: int, buffer: memoryview, start: int, length: int, plain: memoryview) -> None:
        """See `Opener`."""
        end = start + 4 + length
        block = self.block
        UINT32.pack_into(plain, HEAD - 4, sequence)
        plain[HEAD : HEAD + block] = self._first
        if end > start + block:
            self._context.update_into(buffer[start + block : end], plain[HEAD + block :])
        expected = hmac.digest(self._key, plain[HEAD - 4 : PLAIN + length], self._digest)[: self.tag]
        if not hmac.compare_digest(expected, buffer[end : end + self.tag]):
            raise IntegrityError(FORGED)

    def seal(self, sequence: int, plain: memoryview, length: int, out: memoryview, at: int) -> None:
        """See `Sealer`."""
        end = at + 4 + length
        UINT32.pack_into(plain, HEAD - 4, sequence)
        UINT32.pack_into(plain, HEAD, length)
        code = hmac.digest(self._key, plain[HEAD - 4 : PLAIN + length], self._digest)[: self.tag]
        self._context.update_into(plain[HEAD : PLAIN + length], out[at:])
        out[end : end + self.tag] = code
