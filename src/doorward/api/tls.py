"""TLS of the web listener: a certificate of one's own at the first start, and a context for TLS 1.2 and 1.3."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_YEARS = 10


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a server context. Raises ssl.SSLError or OSError where the files are no certificate and key."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    found.load_cert_chain(certificate, key)
    found.set_alpn_protocols(["http/1.1"])
    return found


def ensure_certificate(directory: Path, names: list[str]) -> tuple[Path, Path]:
    """Return the paths of certificate and key; make both, self-signed, where there are none."""
    certificate, key = directory / "server.pem", directory / "server.key"
    if not (certificate.exists() and key.exists()):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        pair = _self_signed(names)
        certificate.unlink(missing_ok=True)  # the last to come: where it is, the key beside it is its own
        for path, data in ((key, pair[1]), (certificate, pair[0])):
            part = path.with_name(f"{path.name}.part")  # renamed when whole: after a crash a half one would count
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
    return certificate, key


def _self_signed(names: list[str]) -> tuple[bytes, bytes]:
    """Return certificate and key, in PEM, for host names and IP addresses; the first is the common name."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    now = dt.datetime.now(dt.UTC)
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return built.public_bytes(pem), plain


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
