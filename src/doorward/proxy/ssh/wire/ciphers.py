"""Ciphers of one direction: they open and seal whole packets between buffers, without a copy in Python.

A plain packet lies in a buffer like this (`PLAIN`, `HEAD`)::

    … | sequence number (4) | packet length (4) | padding length (1) | payload | padding
                            ^ HEAD              ^ PLAIN              ^ PAYLOAD

Each class takes the keys of RFC 4253, section 7.2 and owns the counters that come from them. A cipher is used for one
direction and one set of keys, never again.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR
from cryptography.hazmat.primitives.poly1305 import Poly1305

from doorward.proxy.ssh.wire.errors import IntegrityError

HEAD = 12
PLAIN = 16
PAYLOAD = 17

_UINT32 = Struct(">I")
_UINT64 = Struct(">Q")
_TAG = 16
FORGED = "A packet was damaged or forged on its way"


class Opener(Protocol):
    """Reads packets. ``header``: bytes that show the length; ``block``: what lengths are multiples of; ``tag``: bytes behind."""

    header: int
    block: int
    tag: int
    length_apart: bool
    """Whether the four bytes of the length do not count for the block."""
    is_chained: bool
    """Whether the length is encrypted by chained blocks, so that nothing may be said of it before the code was checked."""

    def length(self, sequence: int, buffer: memoryview, start: int) -> int:
        """Packet length of the packet that starts there. Called once for each packet."""

    def open(self, sequence: int, buffer: memoryview, start: int, length: int, plain: memoryview) -> None:
        """Check and decrypt the packet into ``plain`` from `PLAIN` on; four bytes before ``start`` may be overwritten."""


class Sealer(Protocol):
    """Writes packets."""

    block: int
    tag: int
    length_apart: bool

    def seal(self, sequence: int, plain: memoryview, length: int, out: memoryview, at: int) -> None:
        """Encrypt ``length`` bytes of ``plain`` from `PLAIN` on; the whole packet comes to ``out`` at ``at``."""


class NoCipher:
    """No cipher: until the first keys."""

    header = 4
    block = 8
    tag = 0
    length_apart = False
    is_chained = False

    def length(self, sequence: int, buffer: memoryview, start: int) -> int:
        """See `Opener`."""
        del sequence
        return int(_UINT32.unpack_from(buffer, start)[0])

    def open(self, sequence: int, buffer: memoryview, start: int, length: int, plain: memoryview) -> None:
        """See `Opener`."""
        del sequence
        plain[PLAIN : PLAIN + length] = buffer[start + 4 : start + 4 + length]

    def seal(self, sequence: int, plain: memoryview, length: int, out: memoryview, at: int) -> None:
        """See `Sealer`."""
        del sequence
        _UINT32.pack_into(out, at, length)
        out[at + 4 : at + 4 + length] = plain[PLAIN : PLAIN + length]


class Gcm:
    """AES-GCM of OpenSSH (RFC 5647): the length is authenticated, in clear."""

    header = 4
    block = 16
    tag = _TAG
    length_apart = True
    is_chained = False

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._cipher = AESGCM(key)
        self._fixed = iv[:4]
        self._counter = int.from_bytes(iv[4:], "big")

    def _next(self) -> bytes:
        """The nonce of the next packet; no nonce is used twice, whatever comes of the packet."""
        counter = self._counter
        self._counter = (counter + 1) & 0xFFFF_FFFF_FFFF_FFFF
        return self._fixed + counter.to_bytes(8, "big")

    def length(self, sequence: int, buffer: memoryview, start: int) -> int:
        """See `Opener`."""
        del sequence
        return int(_UINT32.unpack_from(buffer, start)[0])

    def open(self, sequence: int, buffer: memoryview, start: int, length: int, plain: memoryview) -> None:
        """See `Opener`."""
        del sequence
        begin = start + 4
        try:
            self._cipher.decrypt_into(
                self._next(), buffer[begin : begin + length + _TAG], buffer[start:begin], plain[PLAIN : PLAIN + length]
            )
        except InvalidTag:
            raise IntegrityError(FORGED) from None

    def seal(self, sequence: int, plain: memoryview, length: int, out: memoryview, at: int) -> None:
        """See `Sealer`."""
        del sequence
        begin = at + 4
        _UINT32.pack_into(out, at, length)
        self._cipher.encrypt_into(self._next(), plain[PLAIN : PLAIN + length], out[at:begin], out[begin : begin + length + _TAG])


class ChaCha:
    """chacha20-poly1305@openssh.com: a second key for the length, the sequence number as nonce."""

    header = 4
    block = 8
    tag = _TAG
    length_apart = True
    is_chained = False

    def __init__(self, key: bytes, iv: bytes) -> None:
        del iv
        self._main = Cipher(ChaCha20(key[:32], bytes(16)), mode=None).encryptor()
        self._head = Cipher(ChaCha20(key[32:], bytes(16)), mode=None).encryptor()
        self._nonce = bytearray(16)

    def _start(self, sequence: int) -> bytes:
        """Set the nonce; return the key of the authenticator."""
        nonce = self._nonce
        nonce[0] = 0
        _UINT64.pack_into(nonce, 8, sequence)
        self._main.reset_nonce(bytes(nonce))
        key = self._main.update(bytes(32))
        nonce[0] = 1
        self._main.reset_nonce(bytes(nonce))
        return key

    def length(self, sequence: int, buffer: memoryview, start: int) -> int:
        """See `Opener`."""
        nonce = self._nonce
        nonce[0] = 0
        _UINT64.pack_into(nonce, 8, sequence)
        self._head.reset_nonce(bytes(nonce))
        return int.from_bytes(self._head.update(buffer[start : start + 4]), "big")

    def open(self, sequence: int, buffer: memoryview, start: int, length: int, plain: memoryview) -> None:
        """See `Opener`."""
        end = start + 4 + length
        key = self._start(sequence)
        try:
            Poly1305.verify_tag(key, buffer[start:end], bytes(buffer[end : end + _TAG]))
        except InvalidSignature:
            raise IntegrityError(FORGED) from None
        self._main.update_into(buffer[start + 4 : end], plain[PLAIN:])

    def seal(self, sequence: int, plain: memoryview, length: int, out: memoryview, at: int) -> None:
        """See `Sealer`."""
        end = at + 4 + length
        key = self._start(sequence)
        self._main.update_into(plain[PLAIN : PLAIN + length], out[at + 4 :])
        nonce = self._nonce
        nonce[0] = 0
        self._head.reset_nonce(bytes(nonce))
        out[at : at + 4] = self._head.update(_UINT32.pack(length))
        out[end : end + _TAG] = Poly1305.generate_tag(key, out[at:end])


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
        return int(_UINT32.unpack_from(buffer, start)[0])

    def open(self, sequence: int, buffer: memoryview, start: int, length: int, plain: memoryview) -> None:
        """See `Opener`."""
        end = start + 4 + length
        _UINT32.pack_into(buffer, start - 4, sequence)
        expected = hmac.digest(self._key, buffer[start - 4 : end], self._digest)[: self.tag]
        if not hmac.compare_digest(expected, buffer[end : end + self.tag]):
            raise IntegrityError(FORGED)
        self._context.update_into(buffer[start + 4 : end], plain[PLAIN:])

    def seal(self, sequence: int, plain: memoryview, length: int, out: memoryview, at: int) -> None:
        """See `Sealer`."""
        end = at + 4 + length
        _UINT32.pack_into(out, at, length)
        self._context.update_into(plain[PLAIN : PLAIN + length], out[at + 4 :])
        # The code covers the sequence number as well, which is not sent: it stands for a moment over the packet before.
        before = bytes(out[at - 4 : at])
        _UINT32.pack_into(out, at - 4, sequence)
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
        return int(_UINT32.unpack_from(self._first)[0])

    def open(self, sequence: int, buffer: memoryview, start: int, length: int, plain: memoryview) -> None:
        """See `Opener`."""
        end = start + 4 + length
        block = self.block
        _UINT32.pack_into(plain, HEAD - 4, sequence)
        plain[HEAD : HEAD + block] = self._first
        if end > start + block:
            self._context.update_into(buffer[start + block : end], plain[HEAD + block :])
        expected = hmac.digest(self._key, plain[HEAD - 4 : PLAIN + length], self._digest)[: self.tag]
        if not hmac.compare_digest(expected, buffer[end : end + self.tag]):
            raise IntegrityError(FORGED)

    def seal(self, sequence: int, plain: memoryview, length: int, out: memoryview, at: int) -> None:
        """See `Sealer`."""
        end = at + 4 + length
        _UINT32.pack_into(plain, HEAD - 4, sequence)
        _UINT32.pack_into(plain, HEAD, length)
        code = hmac.digest(self._key, plain[HEAD - 4 : PLAIN + length], self._digest)[: self.tag]
        self._context.update_into(plain[HEAD : PLAIN + length], out[at:])
        out[end : end + self.tag] = code


@dataclass(frozen=True)
class Code:
    """A message authentication code: its hash, length of key and code, and whether it comes after encryption."""

    digest: str
    key: int
    size: int
    after: bool


@dataclass(frozen=True)
class Suite:
    """A cipher: lengths of its key and initial vector."""

    key: int
    iv: int
    coded: ClassVar[bool]
    """Whether it needs a `Code`."""


@dataclass(frozen=True, slots=True)
class Authenticating(Suite):
    """A cipher that proves by itself that nobody changed anything."""

    make: Callable[[bytes, bytes], Gcm | ChaCha]
    coded = False


@dataclass(frozen=True, slots=True)
class Coded(Suite):
    """A cipher beside a code."""

    make: Callable[[bytes, bytes], Cipher[CTR] | Cipher[CBC]]
    coded = True


def _stream(key: bytes, iv: bytes) -> Cipher[CTR]:
    return Cipher(AES(key), CTR(iv))


def _blocks(key: bytes, iv: bytes) -> Cipher[CBC]:
    return Cipher(AES(key), CBC(iv))


def _triple(key: bytes, iv: bytes) -> Cipher[CBC]:
    return Cipher(TripleDES(key), CBC(iv))


CIPHERS: Mapping[str, Authenticating | Coded] = {
    "chacha20-poly1305@openssh.com": Authenticating(64, 0, ChaCha),
    "aes128-gcm@openssh.com": Authenticating(16, 12, Gcm),
    "aes256-gcm@openssh.com": Authenticating(32, 12, Gcm),
    "aes128-ctr": Coded(16, 16, _stream),
    "aes192-ctr": Coded(24, 16, _stream),
    "aes256-ctr": Coded(32, 16, _stream),
    "aes128-cbc": Coded(16, 16, _blocks),
    "aes192-cbc": Coded(24, 16, _blocks),
    "aes256-cbc": Coded(32, 16, _blocks),
    "3des-cbc": Coded(24, 8, _triple),
}
CODES = {
    "hmac-sha2-256-etm@openssh.com": Code("sha256", 32, 32, after=True),
    "hmac-sha2-512-etm@openssh.com": Code("sha512", 64, 64, after=True),
    "hmac-sha1-etm@openssh.com": Code("sha1", 20, 20, after=True),
    "hmac-sha2-256": Code("sha256", 32, 32, after=False),
    "hmac-sha2-512": Code("sha512", 64, 64, after=False),
    "hmac-sha1": Code("sha1", 20, 20, after=False),
    "hmac-sha1-96": Code("sha1", 20, 12, after=False),
    "hmac-md5": Code("md5", 16, 16, after=False),
}


_Made = Gcm | ChaCha | EncryptThenMac | EncryptAndMac


def _make(cipher: str, code: str, keys: Callable[[bytes, int], bytes], letters: bytes, *, opens: bool) -> _Made:
    """A cipher of one direction. ``keys`` gives key material by the letter of RFC 4253, section 7.2."""
    suite = CIPHERS[cipher]
    iv, key = keys(letters[0:1], suite.iv), keys(letters[1:2], suite.key)
    if isinstance(suite, Authenticating):
        return suite.make(key, iv)
    chosen = CODES[code]
    pair = suite.make(key, iv)
    context = pair.decryptor() if opens else pair.encryptor()
    kind = EncryptThenMac if chosen.after else EncryptAndMac
    made = kind(context, max(suite.iv, 8), chosen, keys(letters[2:3], chosen.key))
    if isinstance(made, EncryptAndMac):
        made.is_chained = isinstance(pair.mode, CBC)
    return made


def make_opener(cipher: str, code: str, keys: Callable[[bytes, int], bytes], letters: bytes) -> Opener:
    """Make what opens packets of a direction; ``letters`` name its vector, key and code key: ``ACE`` or ``BDF``."""
    return _make(cipher, code, keys, letters, opens=True)


def make_sealer(cipher: str, code: str, keys: Callable[[bytes, int], bytes], letters: bytes) -> Sealer:
    """Make what seals packets of a direction."""
    return _make(cipher, code, keys, letters, opens=False)
