"""The two keys of a trail, and the envelopes in which they stand in its header (RFC 5652, RFC 5083).

Without encryption the keys are in the header in clear. With it each is in a CMS envelope for some certificates, which plain
``openssl cms -decrypt`` opens. The program does the work: its envelopes take RSA keys (OAEP) and keys on curves at once.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256

from doorward.recording.format import Stream, TrailDamagedError

KEY_SIZE = 32
OPENSSL_SECONDS = 30
"""How long openssl may take for one envelope."""

NAMES: Mapping[Stream, str] = {Stream.SCREEN: "screen", Stream.KEYS: "keystrokes"}
"""What the streams are called in the header."""


class KeyUnavailableError(Exception):
    """A content key could not be wrapped or opened; the message says why, without anything secret."""


def fresh_key() -> bytes:
    """Make a content key."""
    return secrets.token_bytes(KEY_SIZE)


@dataclass(frozen=True, slots=True)
class ContentKeys:
    """The keys of one trail. None: this reader may not have it."""

    screen: bytes | None = field(default=None, repr=False)
    keystrokes: bytes | None = field(default=None, repr=False)

    @classmethod
    def fresh(cls) -> ContentKeys:
        """Make the keys of a new trail."""
        return cls(fresh_key(), fresh_key())

    def of(self, stream: Stream) -> bytes | None:
        """Return the key of a stream."""
        return {Stream.SCREEN: self.screen, Stream.KEYS: self.keystrokes}.get(stream)


def in_clear(key: bytes) -> dict[str, Any]:
    """Return a key for the header of a trail that is not encrypted."""
    return {"clear": base64.b64encode(key).decode()}


def wrapped(key: bytes, certificates: Sequence[str]) -> dict[str, Any]:
    """Return a key for the header, in an envelope for certificates in PEM. Raises KeyUnavailableError."""
    found = [x509.load_pem_x509_certificate(pem.encode()) for pem in certificates]
    with in_files([pem.encode() for pem in certificates]) as paths:
        arguments = ["-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER"]
        for path, certificate in zip(paths, found, strict=True):
            arguments += ["-recip", path]
            if isinstance(certificate.public_key(), rsa.RSAPublicKey):
                arguments += ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"]
        envelope = _openssl(arguments, key, paths)
    return {"cms": base64.b64encode(envelope).decode(), "recipients": [fingerprint(certificate) for certificate in found]}


def fingerprint(certificate: x509.Certificate) -> str:
    """Return what a certificate is named by: SHA-256 in hex."""
    return certificate.fingerprint(SHA256()).hex()


def opened(block: object, private_key: bytes | None) -> bytes | None:
    """Return the key in a block of the header; None where it takes another private key (PEM, not encrypted) to open it.

    Raises TrailDamagedError for a block that is none.
    """
    if not isinstance(block, dict):
        raise TrailDamagedError("the header has no keys")
    try:
        if "clear" in block:
            key = base64.b64decode(block["clear"], validate=True)
        elif private_key is None:
            return None
        else:
            envelope = base64.b64decode(block["cms"], validate=True)
            with in_files([private_key]) as [path]:
                key = _openssl(["-decrypt", "-binary", "-inform", "DER", "-inkey", path], envelope, [path])
    except (KeyError, TypeError, binascii.Error, ValueError):
        raise TrailDamagedError("the header has no keys") from None
    except KeyUnavailableError:
        return None
    if len(key) != KEY_SIZE:
        raise TrailDamagedError("a key in the header has the wrong length")
    return key


@contextmanager
def in_files(contents: Sequence[bytes]) -> Iterator[list[str]]:
    """Give openssl contents as files that are in memory only."""
    descriptors = []
    try:
        for content in contents:
            descriptor = os.memfd_create("doorward-trail")
            descriptors.append(descriptor)
            os.write(descriptor, content)
            os.lseek(descriptor, 0, os.SEEK_SET)
        yield [f"/dev/fd/{descriptor}" for descriptor in descriptors]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _openssl(arguments: Sequence[str], given: bytes, paths: Sequence[str]) -> bytes:
    passed = [int(path.rpartition("/")[2]) for path in paths]
    try:
        done = subprocess.run(
            ["openssl", "cms", *arguments],
            input=given,
            capture_output=True,
            pass_fds=passed,
            timeout=OPENSSL_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise KeyUnavailableError("openssl is not installed") from None
    except subprocess.TimeoutExpired:
        raise KeyUnavailableError("openssl did not answer") from None
    if done.returncode:
        raise KeyUnavailableError("openssl could not do it")
    return done.stdout
