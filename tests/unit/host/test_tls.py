"""What clients of ours trust: tried with handshakes in memory against a server that shows a chain."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from doorward.host.tls import client_context, show

if TYPE_CHECKING:
    from pathlib import Path


class Chain:
    """A root, an intermediate and a server at 127.0.0.1; each in PEM. No key identifiers, as by old tools."""

    def __init__(self) -> None:
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in ("root", "intermediate", "server")]
        now = dt.datetime.now(dt.UTC)
        made = []
        for level in range(3):
            above = max(0, level - 1)
            builder = (
                x509.CertificateBuilder().subject_name(names[level]).issuer_name(names[above])
                .public_key(keys[level].public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=1))
                .add_extension(x509.BasicConstraints(ca=level < 2, path_length=None), critical=True)
            )  # fmt: skip
            if level == 2:
                alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
                builder = builder.add_extension(alternatives, critical=False)
            made.append(builder.sign(keys[above], SHA256()).public_bytes(Encoding.PEM).decode())
        self.root, self.intermediate, self.server = made
        key = keys[2].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.listener = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        show(self.listener, self.server + self.intermediate + key)


CHAIN, STRANGER = Chain(), Chain()


def shaken(client: ssl.SSLContext, name: str = "127.0.0.1") -> None:
    """Shake hands with the server of ``CHAIN``. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        CHAIN.listener.wrap_bio(to_server, to_client, server_side=True),
    ]
    done = 0
    while done < len(ends):
        done = 0
        for end in ends:
            try:
                end.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("authority", [CHAIN.root, CHAIN.intermediate, CHAIN.server, STRANGER.root + CHAIN.intermediate])
def test_every_certificate_that_is_given_is_trusted_by_itself(authority: str, tmp_path: Path) -> None:
    shaken(client_context(authority))
    (tmp_path / "ca.pem").write_text(authority)
    shaken(client_context(tmp_path / "ca.pem"))


def test_others_are_not_trusted_and_names_are_checked() -> None:
    for authority in (STRANGER.root, STRANGER.intermediate, STRANGER.server, None):
        with pytest.raises(ssl.SSLCertVerificationError):
            shaken(client_context(authority))
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        shaken(client_context(CHAIN.intermediate), "127.0.0.2")
    shaken(client_context(None, checked=False), "127.0.0.2")


def test_it_is_the_same_on_every_release_of_python() -> None:
    flags = client_context().verify_flags
    assert flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert not flags & ssl.VERIFY_X509_STRICT
    assert client_context().minimum_version is ssl.TLSVersion.TLSv1_2
