"""Ciphers that authenticate by themselves: AES-GCM (RFC 5647) and ChaCha20-Poly1305 (OpenSSH, PROTOCOL.chacha20poly1305)."""

from __future__ import annotations

from struct import Struct

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.poly1305 import Poly1305

from doorward.proxy.ssh.wire.errors import IntegrityError
from doorward.proxy.ssh.wire.protection import FORGED, PLAIN, UINT32

_UINT64 = Struct(">Q")
_TAG = 16


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
        return int(UINT32.unpack_from(buffer, start)[0])

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
        UINT32.pack_into(out, at, length)
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
        out[at : at + 4] = self._head.update(UINT32.pack(length))
        out[end : end + _TAG] = Poly1305.generate_tag(key, out[at:end])
