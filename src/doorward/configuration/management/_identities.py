"""The certificates that a node makes for itself at its first start. No endpoint."""

from __future__ import annotations

import datetime as dt
import ipaddress
import secrets
from collections.abc import Sequence
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from doorward import BUILD_DATE
from doorward.configuration.x509 import NewCertificate

Role = Literal["ca", "server", "tsa"]

_YEARS = 10
_MAX_COMMON_NAME = 64


def made(names: Sequence[str], now: dt.datetime | None = None) -> dict[Role, NewCertificate]:
    """Make an authority, and signed by it the server's identity for some names and addresses, and one for time stamps.

    ``now`` is the present time, in UTC.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = _subject(f"Doorward CA {secrets.token_hex(4)}")
    authority = _Authority(issuer, key, _validity(now or dt.datetime.now(dt.UTC)))
    subjects: dict[Role, x509.Name] = {"ca": issuer, "server": _subject(names[0]), "tsa": _subject(f"{names[0]} time stamps")}
    return {
        role: authority.issued(role, subject, names, key if role == "ca" else ec.generate_private_key(ec.SECP256R1()))
        for role, subject in subjects.items()
    }


def server_identity(names: Sequence[str], authority: NewCertificate, now: dt.datetime | None = None) -> NewCertificate:
    """Make the server's identity for some names and addresses, signed by an authority that there is. Raises ValueError."""
    if authority.private_key is None:
        raise ValueError("An authority without its private key can't sign.")
    certificate = x509.load_pem_x509_certificate(authority.certificate.encode())
    key: Any = serialization.load_pem_private_key(authority.private_key.encode(), None)
    begin, end = _validity(now or dt.datetime.now(dt.UTC))
    known = _Authority(certificate.subject, key, (begin, min(end, certificate.not_valid_after_utc)))
    return known.issued("server", _subject(names[0]), names, ec.generate_private_key(ec.SECP256R1()))


_USAGES: dict[Role, dict[str, bool]] = {
    "ca": {"key_cert_sign": True, "crl_sign": True},
    "server": {"digital_signature": True},
    "tsa": {"digital_signature": True},
}


class _Authority(Struct, frozen=True):
    """Who signs: its name, its private key, and from when to when what it signs is good."""

    name: x509.Name
    key: Any
    validity: tuple[dt.datetime, dt.datetime]

    def issued(self, role: Role, subject: x509.Name, names: Sequence[str], key: ec.EllipticCurvePrivateKey) -> NewCertificate:
        """Return a certificate with its private key."""
        begin, end = self.validity
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=role == "ca", path_length=None), critical=True)
            .add_extension(_usage(**_USAGES[role]), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if role == "server":
            alternatives = x509.SubjectAlternativeName([_general_name(name) for name in dict.fromkeys(names)])
            builder = builder.add_extension(alternatives, critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        elif role == "tsa":
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        digest = None if isinstance(self.key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()
        return _pair(builder.sign(self.key, digest), key)


def _validity(now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Return from when to when certificates are good that are made now.

    The clock of a first start may be far off, until a time server sets it: nobody could come in then by a certificate that is
    over, or not good yet. No clock that is right shows a time before that of this release.
    """
    built = dt.datetime.fromisoformat(BUILD_DATE)
    begin, end = min(now, built), max(now, built)
    return begin.replace(microsecond=0) - dt.timedelta(days=1), end.replace(microsecond=0) + dt.timedelta(days=365 * _YEARS)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> NewCertificate:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return NewCertificate(certificate=certificate.public_bytes(pem).decode(), private_key=private.decode())


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=key_cert_sign, crl_sign=crl_sign, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_MAX_COMMON_NAME])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
