"""The ciphers and codes by the names of SSH, and what is made of them for one direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR
from msgspec import Struct

from doorward.proxy.ssh.wire.authenticated import ChaCha, Gcm
from doorward.proxy.ssh.wire.coded import Code, EncryptAndMac, EncryptThenMac
from doorward.proxy.ssh.wire.protection import Opener, Sealer


class Suite(Struct, frozen=True):
    """A cipher: lengths of its key and initial vector."""

    key: int
    iv: int
    coded: ClassVar[bool]
    """Whether it needs a `Code`."""


class Authenticating(Suite, frozen=True):
    """A cipher that proves by itself that nobody changed anything."""

    make: Callable[[bytes, bytes], Gcm | ChaCha]
    coded = False


class Coded(Suite, frozen=True):
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
