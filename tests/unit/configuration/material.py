"""Keys and certificates made for tests; each is made once."""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

CLEAR = NoEncryption()
BEGIN, END = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2036, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMES = [
    x509.DNSName("door.example.com"),
    x509.IPAddress(ip_address("192.0.2.1")),
    x509.IPAddress(ip_address("2001:db8::1")),
    x509.RFC822Name("ops@example.com"),
    x509.UniformResourceIdentifier("https://door.example.com/"),
    x509.DirectoryName(x509.Name([])),
]
_CURVES: dict[str, Any] = {
    "ecdsa-p256": ec.SECP256R1(),
    "ecdsa-p384": ec.SECP384R1(),
    "ecdsa-p521": ec.SECP521R1(),
    "p224": ec.SECP224R1(),
    "secp256k1": ec.SECP256K1(),
}


def key(kind: str, number: int = 0) -> Any:
    """A private key; ``number`` tells several of a kind apart."""
    return _key(kind, number)


@cache
def _key(kind: str, _number: int) -> Any:
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind])
    name, _, bits = kind.partition("-")
    if name == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=int(bits))
    if name == "dsa":
        return dsa.generate_private_key(key_size=int(bits))
    makers: dict[str, Any] = {
        "ed25519": ed25519.Ed25519PrivateKey,
        "ed448": ed448.Ed448PrivateKey,
        "x25519": x25519.X25519PrivateKey,
    }
    return makers[kind].generate()


def pem(private: Any, form: str = "pkcs8", password: str = "") -> str:
    """The text of a private key."""
    forms = {"pkcs8": PrivateFormat.PKCS8, "traditional": PrivateFormat.TraditionalOpenSSL, "openssh": PrivateFormat.OpenSSH}
    encryption: KeySerializationEncryption = BestAvailableEncryption(password.encode()) if password else CLEAR
    return str(private.private_bytes(Encoding.PEM, forms[form], encryption).decode())


@cache
def made_by_openssl(*options: str) -> tuple[str, str]:
    """A certificate, signed by itself, and its private key, as ``openssl req`` makes them with further options."""
    command = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=made", "-days", "9", *options, "-keyout", "-", "-out", "-"]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    at = made.index("-----BEGIN CERTIFICATE-----")
    return made[at:], made[:at]


PSS = ("-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048")
"""Options for a key that is good for signatures by RSA-PSS alone."""


def openssh_dsa() -> str:
    """As much of a DSA key in OpenSSH's form as tells what it is."""
    blob = b"openssh-key-v1\0" + b"\0\0\0\4none" * 2 + b"\0\0\0\0\0\0\0\1" + b"\0\0\0\x0b\0\0\0\x07ssh-dss"
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64.b64encode(blob).decode()}\n-----END OPENSSH PRIVATE KEY-----\n"


def name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ex, Ample"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def certificate(
    subject: str,
    private: Any,
    issuer: str = "",
    issuer_key: Any = None,
    *,
    authority: bool | None = None,
    signs: bool | None = None,
    names: tuple[x509.GeneralName, ...] = (),
) -> x509.Certificate:
    """A certificate, signed by itself unless an issuer is given."""
    signer = issuer_key or private
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer or subject))
        .public_key(private.public_key())
        .serial_number(0x0A0B0C)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    if signs is not None:
        usage = dict.fromkeys(("digital_signature", "key_cert_sign", "crl_sign"), signs)
        rest = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
        builder = builder.add_extension(x509.KeyUsage(**usage, **dict.fromkeys(rest, False)), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    algorithm = None if isinstance(signer, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()
    return builder.sign(signer, algorithm)


def by_sha1(private: Any, directory: Path) -> str:
    """A certificate that an authority signed by SHA-1, which ``cryptography`` does not any more."""
    authority, above = made_by_openssl("-newkey", "rsa:2048")
    request = x509.CertificateSigningRequestBuilder().subject_name(name("door")).sign(private, hashes.SHA256())
    texts = {"ca.pem": authority, "ca.key": above, "csr.pem": request.public_bytes(Encoding.PEM).decode()}
    for file, content in texts.items():
        (directory / file).write_text(content)
    sign = ["openssl", "x509", "-req", "-in", "csr.pem", "-sha1", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "1"]
    return subprocess.run(sign, check=True, capture_output=True, text=True, cwd=directory).stdout


def text(*chain: x509.Certificate) -> str:
    """Certificates in PEM, one after another."""
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in chain)


def chain(length: int, kind: str = "ecdsa-p256") -> list[x509.Certificate]:
    """A certificate of ``key(kind)`` and the authorities above it, the root last."""
    found = []
    for index in range(length):
        own, above = key(kind, index), key(kind, index + 1)
        top = index == length - 1
        authority, signs = (None, None) if index == 0 else (True, True)
        above_name, above_key = ("", None) if top else (f"ca {index + 1}", above)
        found.append(certificate(f"ca {index}", own, above_name, above_key, authority=authority, signs=signs))
    return found
