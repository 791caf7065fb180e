"""The certificates that a node makes for itself at its first start. No endpoint."""

from __future__ import annotations

import datetime as dt
import ipaddress
import secrets
from collections.abc import Sequence
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from doorward import BUILD_DATE
from doorward.configuration.x509 import NewCertificate

Role = Literal["ca", "server", "tsa"]

_YEARS = 10
_MOST_COMMON_NAME = 64


def made(names: Sequence[str], now: dt.datetime | None = None) -> dict[Role, NewCertificate]:
    """Make an authority, and signed by it the server's identity for some names and addresses, and one for time stamps.

    ``now`` is the present time, in UTC.
    """
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = _subject(f"Doorward CA {secrets.token_hex(4)}")
    usages = {
        "ca": _usage(key_cert_sign=True, crl_sign=True),
        "server": _usage(digital_signature=True),
        "tsa": _usage(digital_signature=True),
    }
    keys = {"ca": authority, "server": ec.generate_private_key(ec.SECP256R1()), "tsa": ec.generate_private_key(ec.SECP256R1())}
    subjects = {"ca": issuer, "server": _subject(names[0]), "tsa": _subject(f"{names[0]} time stamps")}
    begin, end = _validity(now or dt.datetime.now(dt.UTC))
    found: dict[Role, NewCertificate] = {}
    role: Role
    for role in ("ca", "server", "tsa"):
        own = keys[role].public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subjects[role])
            .issuer_name(issuer)
            .public_key(own)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=role == "ca", path_length=None), critical=True)
            .add_extension(usages[role], critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        )
        if role == "server":
            alternatives = x509.SubjectAlternativeName([_general_name(name) for name in dict.fromkeys(names)])
            builder = builder.add_extension(alternatives, critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        elif role == "tsa":
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        found[role] = _pair(builder.sign(authority, hashes.SHA256()), keys[role])
    return found


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
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_MOST_COMMON_NAME])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
