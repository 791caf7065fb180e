"""Trails made by hand, for the tests of `doorward.recording`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from doorward.recording.keys import ContentKeys, in_clear
from doorward.recording.records import Record, RecordKind, encode_json
from doorward.recording.writer import Keyframes, TrailWriter

HEADER = {"session": "svc/abcdefghijklmnopqrstuv/linux:1", "started": "2026-11-29T10:00:00Z"}
NAME = "abcdefghijklmnopqrstuv"


def writer(keys: ContentKeys | None = None, keyframes: Keyframes = tuple) -> TrailWriter:
    keys = keys or ContentKeys.fresh()
    assert keys.screen is not None
    assert keys.keystrokes is not None
    return TrailWriter(HEADER, {"screen": in_clear(keys.screen), "keystrokes": in_clear(keys.keystrokes)}, keys, keyframes)


def written(records: Iterable[Record], *, flush_each: int = 3, end: int | None = None) -> bytes:
    made = writer()
    parts = [made.head]
    last = 0
    for index, record in enumerate(records):
        parts += made.write(record)
        last = record.at
        if index % flush_each == flush_each - 1:
            parts += made.flush()
    parts += made.close({"reason": "client"}, last if end is None else end)
    return b"".join(parts)


def opening(channel: int = 1, at: int = 0, columns: int = 20, rows: int = 4) -> list[Record]:
    return [
        Record(at, RecordKind.OPEN, channel, encode_json({"type": "session-shell"})),
        Record(
            at, RecordKind.REQUEST, channel, encode_json({"columns": columns, "rows": rows, "term": "xterm", "type": "pty-req"})
        ),
        Record(at, RecordKind.REQUEST, channel, encode_json({"type": "shell"})),
    ]


def output(at: int, text: str | bytes, channel: int = 1) -> Record:
    return Record(at, RecordKind.OUTPUT, channel, text.encode() if isinstance(text, str) else text)


def typed(at: int, text: str, channel: int = 1, *, hidden: bool = False) -> Record:
    return Record(at, RecordKind.HIDDEN_INPUT if hidden else RecordKind.INPUT, channel, text.encode())


Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def identity(kind: str) -> tuple[str, bytes, x509.Certificate, Key]:
    """A certificate of its own and its key, in PEM and as objects."""
    key: Key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kind)]), dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), private, certificate, key


def stamping_authority() -> tuple[str, str]:
    """A certificate for time stamps, of its own, and its private key, both in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stamps")]), dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now).not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), private.decode()
