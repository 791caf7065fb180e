"""Certificates that the appliance makes, signed by their own keys. No endpoint; used by the store of certificates."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from typing import Annotated, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from pydantic import AfterValidator, Field, StringConstraints

from doorward.tree.fields import host_name, ip_address
from doorward.tree.models import Body, Elements

_MAX_COMMON_NAME = 64
_MAX_DAYS = 3650


def _served_name(value: str) -> str:
    """Return a host name or an IP address in canonical form."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return host_name(value)
    return ip_address(value)


ServedName = Annotated[str, StringConstraints(max_length=254), AfterValidator(_served_name)]


class GenerateCertificate(Body):
    """A certificate that is made here, signed by its own key."""

    selection: Literal["ecdsa-p256", "rsa-4096"] = Field(description="Type of the key.")
    names: Annotated[list[ServedName], Elements(least=1, most=32, unique=str)] = Field(
        description="Host names and IP addresses that it is for; the first one is its subject, too.",
        examples=[["gateway.example.com"]],
    )
    days: Annotated[int, Field(ge=1, le=_MAX_DAYS)] = Field(default=825, description="Days until it expires.")


def self_signed(order: GenerateCertificate) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]:
    """Make a key and its certificate, for servers, clients and signatures alike. RSA takes a good part of a second."""
    key = _key(order.selection)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, order.names[0][:_MAX_COMMON_NAME])])
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=order.selection == "rsa-4096", data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A client whose clock is a little behind takes it, too.
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=order.days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName(_alternatives(order.names)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made, key


def _key(kind: Literal["ecdsa-p256", "rsa-4096"]) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if kind == "ecdsa-p256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=4096)


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found
