"""The certificates of a first start whose clock is wrong: good for clients whose clocks are right."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from doorward import BUILD_DATE
from doorward.configuration.management import _identities
from doorward.configuration.x509 import NewCertificate

BUILT = dt.datetime.fromisoformat(BUILD_DATE)


@pytest.mark.parametrize("clock", [dt.datetime(1970, 1, 1, tzinfo=dt.UTC), BUILT, dt.datetime(2060, 1, 1, tzinfo=dt.UTC)])
def test_certificates_are_good_from_the_release_on_for_ten_years(clock: dt.datetime) -> None:
    for pair in _identities.made(["doorward.example.com"], clock).values():
        found = x509.load_pem_x509_certificate(pair.certificate.encode())
        assert found.not_valid_before_utc < BUILT
        assert found.not_valid_after_utc > max(BUILT, clock) + dt.timedelta(days=3600)


def _authority(key: Any, end: dt.datetime) -> NewCertificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "An authority")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return NewCertificate(certificate=signed.public_bytes(pem).decode(), private_key=private)


@pytest.mark.parametrize("kind", ["made", "rsa", "ed25519"])
def test_an_authority_that_is_there_signs_a_new_server_certificate(kind: str) -> None:
    end = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    keys: dict[str, Any] = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }
    authority = _identities.made(["old.example.com"])["ca"] if kind == "made" else _authority(keys[kind](), end)
    pair = _identities.server_identity(["new.example.com", "192.0.2.7"], authority)
    found = x509.load_pem_x509_certificate(pair.certificate.encode())
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    found.verify_directly_issued_by(issuer)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["new.example.com"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    assert found.not_valid_after_utc <= issuer.not_valid_after_utc
