"""The key of the node channel and its certificate, made at the first start (cluster contract, section 11.1).

Both lie in one file, ``cluster/node-key.pem`` below the state directory: a peer pins the certificate, so neither is worth
anything without the other, and one file is replaced in one step.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from doorward.host.files import DiskFiles, FileEntry, make_directory

NAME = "cluster/node-key.pem"
"""Where the key lies below the state directory."""
MAX_CERTIFICATE = 4096
"""Bytes of a certificate of a node; ours have under 500."""

_YEARS = 30
_ALGORITHM = ec.ECDSA(hashes.SHA256())


class NodeKeyError(Exception):
    """The file holds no key and certificate of a node, or can't be read. The text says what is wrong."""


def fingerprint(certificate: bytes) -> bytes:
    """Return the SHA-256 of a certificate in DER."""
    return hashlib.sha256(certificate).digest()


@dataclass(frozen=True, slots=True)
class NodeKey:
    """The key of this node; ``pem`` is the whole file, ``certificate`` in DER."""

    path: Path
    pem: bytes = field(repr=False)
    certificate: bytes = field(repr=False)

    @classmethod
    def at(cls, state: Path, node_id: str) -> NodeKey:
        """Return the key of the node; make it where there is none. Raises NodeKeyError or HostError."""
        path = state / NAME
        try:
            pem = path.read_bytes()
        except FileNotFoundError:
            return replace(state, _made(node_id))
        except OSError as error:
            raise NodeKeyError(f"The key of the node channel in {path} can't be read: {error.strerror}.") from error
        return cls(path, pem, _read(pem)[1])

    @property
    def fingerprint(self) -> bytes:
        """What peers pin."""
        return fingerprint(self.certificate)

    def sign(self, text: bytes) -> bytes:
        """Return the signature (ECDSA with SHA-256, in DER) that proves to hold the key."""
        return _read(self.pem)[0].sign(text, _ALGORITHM)

    def shown_by(self, context: ssl.SSLContext) -> None:
        """Let connections of a TLS context show the certificate."""
        context.load_cert_chain(self.path)


def replace(state: Path, pem: bytes) -> NodeKey:
    """Put a key with its certificate, one of a backup or a new one, in place durably. Raises NodeKeyError or HostError."""
    _, certificate = _read(pem)
    path = state / NAME
    make_directory(path.parent)
    DiskFiles(state).write(f"/{NAME}", FileEntry(pem, 0o600))
    return NodeKey(path, pem, certificate)


def proves(certificate: bytes, text: bytes, signature: bytes) -> bool:
    """Whether a certificate in DER is one of a node, and the signature of a text was made with its key."""
    key = _public_key(certificate)
    if key is None:
        return False
    try:
        key.verify(signature, text, _ALGORITHM)
    except InvalidSignature:
        return False
    return True


def _public_key(certificate: bytes) -> ec.EllipticCurvePublicKey | None:
    """Return the key of a certificate that has the shape of ours: P-256, signed with its own key, no authority."""
    if len(certificate) > MAX_CERTIFICATE:
        return None
    try:
        found = x509.load_der_x509_certificate(certificate)
        key = found.public_key()
        found.verify_directly_issued_by(found)
        constraints = found.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound, x509.DuplicateExtension):
        return None
    if constraints.ca or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return None
    return key


def _read(pem: bytes) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    try:
        private = load_pem_private_key(pem, password=None)
        found = x509.load_pem_x509_certificate(pem)
        public = found.public_key()
        found.verify_directly_issued_by(found)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise NodeKeyError(f"The file {NAME} holds no private key with its certificate.") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != public:
        raise NodeKeyError(f"The private key in {NAME} is not the one of the certificate beside it.")
    return private, found.public_bytes(Encoding.DER)


def _made(node_id: str) -> bytes:
    """Return a new key with its certificate, in PEM."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node_id)])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    plain = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return plain + built.public_bytes(Encoding.PEM)
