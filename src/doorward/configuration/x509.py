"""X.509 certificates, written once: ``/api/configuration/x509``.

A certificate comes with its chain, if there is one, and with its private key where something must identify itself with it; or it
is made here, signed by its own key, which never leaves the appliance. The private key is never shown. Several places may refer to
the same certificate; when the last of them lets go, it vanishes at that commit. Nothing on the host changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import PublicKeyAlgorithmOID
from pydantic import Field, StringConstraints
from pydantic_core import InitErrorDetails

from doorward.configuration._keys import PrivateKey, is_weak, read_private_key, weak
from doorward.configuration._self_signed import GenerateCertificate, self_signed
from doorward.host.tls import unusable
from doorward.tree.fields import Confidential
from doorward.tree.models import Body, Interrelated, Public, extension, wrong
from doorward.tree.nodes import WriteOnce
from doorward.tree.plaintext import plain
from doorward.tree.problems import InvalidBody, Problem, SemanticError
from doorward.tree.snapshot import Snapshot
from doorward.tree.times import stamp

PATH = "/api/configuration/x509"
_MAX_CERTIFICATES = 10


CertificateText = Annotated[str, StringConstraints(max_length=131_072)]
_ABOUT = "The certificate in PEM, after it the certificates of its issuers, each one followed by its own."


class NewCertificate(Body):
    """A certificate as it is posted."""

    certificate: CertificateText = Field(description=_ABOUT)
    private_key: Annotated[str, StringConstraints(max_length=16_384), Confidential] | None = Field(
        None, description="Its private key in PEM (PKCS#1, PKCS#8, SEC1), without encryption."
    )


class NewIdentity(NewCertificate, Interrelated):
    """A certificate as it is posted, or what kind of one to make."""

    certificate: CertificateText | None = Field(None, description=_ABOUT)  # type: ignore[assignment]
    generate: GenerateCertificate | None = extension(
        None, description="Makes a new certificate instead, signed by its own key, for the names that stand here."
    )

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Want a certificate, or an order to make one."""
        posted, order = sent.get("certificate"), sent.get("generate")
        if posted is None and order is None:
            yield wrong(*(("type", "Must be a string.") if "certificate" in sent else ("missing", "Required.")), "certificate")
        if isinstance(order, dict) and (posted is not None or sent.get("private_key") is not None):
            yield wrong("contradiction", "A certificate is either posted or generated.", "generate")


class Certificate(Public):
    """A certificate as it is kept: ``certificate`` is the chain in PEM, ``fingerprint`` ``SHA256:`` and hex digits."""

    certificate: str
    fingerprint: str
    has_private_key: bool
    not_after: str
    not_before: str
    subject: str


def posted_or_made(model: NewIdentity) -> tuple[dict[str, Any], str | None]:
    """Return the same as ``make``, of a certificate that is made here where that is ordered."""
    if model.generate is None:
        return make(model)
    made, key = self_signed(model.generate)
    return _described([made]) | {"has_private_key": True}, _pkcs8(key)


def make(model: NewCertificate) -> tuple[dict[str, Any], str | None]:
    """Return the public body, and the private key in PKCS#8 if there is one. Raises InvalidBody or SemanticError."""
    try:
        chain = _read(model.certificate)
        body = _described(chain) | {"has_private_key": model.private_key is not None}
        problems = list(_judged(chain))
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidBody([Problem("format", "Must be certificates in PEM, without private keys.", "/certificate")]) from None
    secret = None
    if model.private_key is not None:
        try:
            key = read_private_key(model.private_key, "/private_key", openssh=False)
            secret = _pkcs8(key)
            problems += _fits(chain[0], key)
            if not problems:
                problems += _shows(chain[0], body["certificate"] + secret)
        except SemanticError as refused:
            problems += refused.problems
    if problems:
        raise SemanticError(problems)
    return body, secret


def _pkcs8(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _read(text: str) -> list[x509.Certificate]:
    """Return the certificates of a text. Raises ValueError, also where it holds anything secret."""
    if "PRIVATE KEY-----" in text:
        raise ValueError
    return x509.load_pem_x509_certificates(text.encode())


def _described(chain: list[x509.Certificate]) -> dict[str, Any]:
    leaf = chain[0]
    serial = f"{leaf.serial_number:x}"
    return {
        "certificate": "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in chain),
        "created": stamp(datetime.now(UTC)),
        "fingerprint": f"SHA256:{leaf.fingerprint(hashes.SHA256()).hex()}",
        "issuer": plain(leaf.issuer.rfc4514_string()),
        "not_after": stamp(leaf.not_valid_after_utc),
        "not_before": stamp(leaf.not_valid_before_utc),
        "serial_number": serial.zfill(len(serial) + len(serial) % 2),
        "subject": plain(leaf.subject.rfc4514_string()),
        "subject_alternative_names": list(_names(leaf)),
    }


_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS",
    x509.IPAddress: "IP",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "URI",
}


def _names(certificate: x509.Certificate) -> Iterator[str]:
    """Yield the alternative names of the four common kinds, as ``DNS:example.com``."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in names:
        if type(name) in _KINDS:
            yield plain(f"{_KINDS[type(name)]}:{name.value}")


def _judged(chain: list[x509.Certificate]) -> Iterator[Problem]:
    """Yield what is wrong with a chain."""
    if len(chain) > _MAX_CERTIFICATES:
        yield Problem("length", f"At most {_MAX_CERTIFICATES} certificates.", "/certificate")
    if any(is_weak(certificate.public_key()) for certificate in chain):
        yield weak("/certificate")
    for index, (certificate, issuer) in enumerate(pairwise(chain)):
        if not _signed(certificate, issuer):
            message = f"Certificate {index + 2} is not the issuer of certificate {index + 1}."
            yield Problem("bad_chain", message, "/certificate")


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer may sign certificates and signed this one."""
    try:
        authority = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    try:
        return authority and issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return authority


def _fits(certificate: x509.Certificate, key: PrivateKey) -> Iterator[Problem]:
    own, its = (
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for public in (certificate.public_key(), key.public_key())
    )
    if own != its:
        yield Problem("key_mismatch", "The private key is not that of the first certificate.", "/private_key")


def _shows(certificate: x509.Certificate, identity: str) -> Iterator[Problem]:
    """Yield why nobody could be shown an identity, in PEM: better now than when a listener or a client is to use it."""
    if is_for_pss_alone(certificate):
        yield Problem("unsuitable", "A key for RSA-PSS alone can't be used; make one for RSA.", "/certificate")
    elif (why := unusable(identity)) is not None:
        yield Problem("unsuitable", f"OpenSSL does not take it: {why}.", "/certificate")


def is_for_pss_alone(certificate: x509.Certificate) -> bool:
    """Whether the key of a certificate is one for RSA-PSS alone, which is kept as one for RSA and fits no more."""
    return certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS


def show(body: dict[str, Any], owners: list[str], _form: str | None) -> dict[str, Any]:
    """Add who refers to the certificate."""
    return {**body, "owners": owners}


def without_private_key(snapshot: Snapshot, key: str, at: str) -> Iterator[Problem]:
    """Refuse a reference, which stands at ``at`` in a body, to a certificate that cannot identify anybody."""
    found = snapshot.find(NODE, key)
    if found is not None and not found.has_private_key:
        yield Problem("unsuitable", "This certificate has no private key here.", at)


def chain_of(snapshot: Snapshot, key: str) -> list[x509.Certificate]:
    """Return the certificates of an object, its own first; none where there is no such object."""
    found = snapshot.find(NODE, key)
    return x509.load_pem_x509_certificates(found.certificate.encode()) if found is not None else []


def certificate_of(snapshot: Snapshot, key: str) -> x509.Certificate | None:
    """Return the first certificate of an object."""
    found = snapshot.find(NODE, key)
    return x509.load_pem_x509_certificate(found.certificate.encode()) if found is not None else None


NODE: WriteOnce[Certificate] = WriteOnce(
    title="X.509 certificates", scope="owner", model=NewIdentity, public=Certificate, make=posted_or_made, show=show, shared=True
)
