"""Private keys as they are posted: read, judged, and brought into one form. No endpoint; shared by the stores of secrets."""

from __future__ import annotations

import base64
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from doorward.tree.problems import InvalidBody, Problem, SemanticError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

MIN_RSA_BITS = 2048
_CURVES = {"secp256r1": "ecdsa-p256", "secp384r1": "ecdsa-p384", "secp521r1": "ecdsa-p521"}
_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----[\x00-\x7f]*?-----END \1-----")
_OPENSSH = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]*)-----END OPENSSH PRIVATE KEY-----")
_ENCRYPTED = ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED")
_MAGIC, _NO_CIPHER = b"openssh-key-v1\x00", b"\x00\x00\x00\x04none"
_DSA = b"\x00\x00\x00\x07ssh-dss"


def read_private_key(text: str, at: str, *, openssh: bool) -> PrivateKey:
    """Return the one private key of a text; ``at`` is its place in the body, for problems.

    Reads PKCS#1, PKCS#8 and SEC1 in PEM, with ``openssh`` also OpenSSH's own form; what stands beside the key counts for nothing,
    as in RFC 7468. Raises InvalidBody for what is no key, and SemanticError with ``encrypted_key`` or ``weak_key``.
    """
    block = _BLOCK.search(text)
    if block is None or len(_BEGIN.findall(text)) != 1:
        raise _no_key(at)
    text = block[0]
    framed = _OPENSSH.search(text) if openssh else None
    if "OPENSSH" in text and framed is None:
        raise _no_key(at)
    try:
        blob = base64.b64decode(framed[1]) if framed else b""
        if any(mark in text for mark in _ENCRYPTED) or (blob.startswith(_MAGIC) and not blob.startswith(_MAGIC + _NO_CIPHER)):
            raise SemanticError([Problem("encrypted_key", "The private key must not be encrypted.", at)])
        if _DSA in blob:
            raise SemanticError([weak(at)])
        load = serialization.load_ssh_private_key if framed else serialization.load_pem_private_key
        key = load(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _no_key(at) from None
    if is_weak(key.public_key()):
        raise SemanticError([weak(at)])
    if type_of(key) is None or not isinstance(key, PrivateKey):
        raise _no_key(at)
    return key


def is_weak(key: object) -> bool:
    """Whether a public key is too easy to break: DSA, and RSA below 2048 bits."""
    return isinstance(key, dsa.DSAPublicKey) or (isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS)


def weak(at: str) -> Problem:
    """Return the problem of a key that is too easy to break."""
    return Problem("weak_key", f"DSA keys and RSA keys below {MIN_RSA_BITS} bits are too weak.", at)


def type_of(key: object) -> str | None:
    """Return the type of a private key, such as ``rsa-4096``; None where it is none that we use."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return f"rsa-{key.key_size}"
    return _CURVES.get(key.curve.name) if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _no_key(at: str) -> InvalidBody:
    wanted = "Must be one private key: Ed25519, ECDSA on P-256, P-384 or P-521, or RSA."
    return InvalidBody([Problem("format", wanted, at)])
