"""The certificates of the appliance: ``/api/configuration/management/certificates``.

An authority, the identity of the web server and that of the time stamping authority. All three are made at the first start, for
ten years, the last two signed by the first. After a commit new connections to the web listeners get to see ``server`` at once,
proven by a TLS handshake that shows its fingerprint; open connections stay. The channel between nodes has keys of its own.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from cryptography import x509 as crypto
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import Field

from doorward.configuration import x509
from doorward.configuration._tls import CertificateReference
from doorward.configuration._web import WEB
from doorward.configuration.network import naming
from doorward.configuration.network._addresses import address_of
from doorward.host.resources import ServerCertificate
from doorward.tree.models import Body, Variants
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.plaintext import plain
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/management/certificates"

_SOON = timedelta(days=30)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class OwnAuthority(Body):
    """An authority whose private key is here."""

    selection: Literal["identity"] = Field(description="The private key of the authority is here.")
    x509_identity: CertificateReference = Field(description="Key of its certificate, which has CA:TRUE, with private key.")


class ForeignAuthority(Body):
    """An authority that signs elsewhere."""

    selection: Literal["certificate"] = Field(description="Only the certificate of the authority is here.")
    x509_certificate: CertificateReference = Field(description="Key of its certificate, which has CA:TRUE.")


Authority = Annotated[ForeignAuthority | OwnAuthority, Variants("selection")]


class ApplianceCertificates(Body):
    """Who the appliance says it is. Null is what a node begins with; no commit takes it."""

    ca: Authority | None = Field(description="The appliance's own authority.")
    server: CertificateReference | None = Field(
        description="Key of the certificate that the web listeners show, with private key; for serverAuth, if it says for what."
    )
    tsa: CertificateReference | None = Field(
        description="Key of the certificate that signs time stamps, with private key; for timeStamping only, critical."
    )


def in_place(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield where the body refers to a certificate (a pointer), and its key."""
    own = snapshot.read(NODE)
    if isinstance(own.ca, OwnAuthority):
        yield "/ca/x509_identity", own.ca.x509_identity.key
    elif own.ca is not None:
        yield "/ca/x509_certificate", own.ca.x509_certificate.key
    for at, reference in (("/server", own.server), ("/tsa", own.tsa)):
        if reference is not None:
            yield at, reference.key


def authority(snapshot: Snapshot) -> crypto.Certificate | None:
    """Return the certificate of the authority."""
    return next((x509.certificate_of(snapshot, key) for at, key in in_place(snapshot) if at.startswith("/ca")), None)


def shown(snapshot: Snapshot) -> ServerCertificate | None:
    """Return what the web listeners show."""
    server = snapshot.read(NODE).server
    found = snapshot.follow(server) if server is not None else None
    if server is None or found is None:
        return None
    return ServerCertificate(found.certificate, server.key, found.fingerprint.removeprefix("SHA256:"))


def nothing_missing(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Want all three."""
    for name, reference in snapshot.read(NODE):
        if reference is None:
            yield Problem("required_with", "The appliance can't do without.", f"/{name}")


def fit(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Refuse certificates that can't do what they are for, or not now."""
    now = datetime.now(UTC)
    for at, key in in_place(snapshot):
        found = x509.certificate_of(snapshot, key)
        if found is None:  # refused as a reference to nothing
            continue
        if at != "/ca/x509_certificate":
            yield from x509.without_private_key(snapshot, key, at)
        if (why := _unfit(found, at)) is not None:
            yield Problem("unsuitable", why, at)
        chain = x509.chain_of(snapshot, key)
        if (first := ends_first(chain)).not_valid_after_utc <= now:
            yield Problem("expired", f"{_which(chain, first)} on {first.not_valid_after_utc:%Y-%m-%d %H:%M} UTC.", at)
        last = max(chain, key=lambda one: one.not_valid_before_utc)
        if last.not_valid_before_utc > now:
            begins = _which(chain, last, "Begins", "begins")
            yield Problem("not_yet_valid", f"{begins} on {last.not_valid_before_utc:%Y-%m-%d %H:%M} UTC.", at)


def ends_first(chain: Sequence[crypto.Certificate]) -> crypto.Certificate:
    """Return the certificate of a chain with which the whole chain ends."""
    return min(chain, key=lambda one: one.not_valid_after_utc)


def _which(chain: Sequence[crypto.Certificate], one: crypto.Certificate, own: str = "Ended", other: str = "ended") -> str:
    """Return the beginning of a sentence about one certificate of a chain."""
    place = chain.index(one) + 1
    return own if place == 1 else f"Certificate {place} of the chain, {plain(one.subject.rfc4514_string(), 200)}, {other}"


def _unfit(found: crypto.Certificate, at: str) -> str | None:
    """Return why a certificate is not for its place."""
    usage = _extension(found, crypto.ExtendedKeyUsage)
    purposes = set(usage.value) if usage else set()
    if at.startswith("/ca"):
        constraints = _extension(found, crypto.BasicConstraints)
        return None if constraints and constraints.value.ca else "The certificate is not one of an authority (CA:TRUE)."
    if at == "/tsa":
        alone = usage is not None and usage.critical and purposes == {ExtendedKeyUsageOID.TIME_STAMPING}
        return None if alone else "The extended key usage must be exactly timeStamping, and critical."
    if usage and ExtendedKeyUsageOID.SERVER_AUTH not in purposes:
        return "The extended key usage does not allow serverAuth."
    if x509.is_for_pss_alone(found):
        return "Its key must be one for RSA, not for RSA-PSS alone."
    key = found.public_key()
    curve = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)
    if curve or isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):  # weak ones are refused when posted
        return None
    return "Its key must be RSA, ECDSA on P-256, P-384 or P-521, or Ed25519."


def _extension(found: crypto.Certificate, kind: Any) -> Any:
    try:
        return found.extensions.get_extension_for_class(kind)
    except (crypto.ExtensionNotFound, ValueError):
        return None


def ends_soon(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of certificates with fewer than 30 days left, they or one of their chain."""
    now = datetime.now(UTC)
    for at, key in in_place(snapshot):
        chain = x509.chain_of(snapshot, key)
        if chain and now < (first := ends_first(chain)).not_valid_after_utc < now + _SOON:
            ends = _which(chain, first, "Ends", "ends")
            yield Problem("expires_soon", f"{ends} on {first.not_valid_after_utc:%Y-%m-%d %H:%M} UTC.", at)


def foreign(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of certificates that the authority did not sign: who trusts it does not trust them."""
    issuer = authority(snapshot)
    for at, key in in_place(snapshot):
        if issuer is not None and not at.startswith("/ca") and not _leads_to(snapshot, key, issuer):
            yield Problem("not_issued_by_ca", "Not signed by the certificate in ca.", at)


def names_missing(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of a server certificate that lacks the name of the node or an address it listens on; on behalf of ``admin_web``."""
    server = snapshot.read(NODE).server
    found = x509.certificate_of(snapshot, server.key) if server is not None else None
    if found is None:
        return
    extension = _extension(found, crypto.SubjectAlternativeName)
    said: list[crypto.GeneralName] = [*extension.value] if extension else []
    wanted = [_full_name(snapshot), *dict.fromkeys(_addresses(snapshot))]
    if missing := [name for name in wanted if not is_for(said, name)]:
        message = f"The certificate of the server is not for {', '.join(missing)}."
        yield Problem("name_mismatch", message, "/server", PATH)


def is_for(said: Sequence[crypto.GeneralName], name: str) -> bool:
    """Whether the alternative names of a certificate say that it is for a name or an IP address (RFC 6125, 9525)."""
    from service_identity import CertificateError
    from service_identity.hazmat import DNS_ID, DNSPattern  # takes its time to load, and most starts need it never

    with contextlib.suppress(ValueError):
        return crypto.IPAddress(ipaddress.ip_address(name)) in said
    wanted = DNS_ID(name)
    for one in said:
        if isinstance(one, crypto.DNSName):
            with contextlib.suppress(CertificateError):  # one that is none, as `*.com`, is for nothing
                if wanted.verify(DNSPattern.from_bytes(one.value.encode())):
                    return True
    return False


def names(snapshot: Snapshot) -> list[str]:
    """Return what the first certificate of the server is for: the node's names, loopback, the addresses it listens on."""
    own = [_full_name(snapshot), snapshot.read(naming.NODE).hostname]
    return list(dict.fromkeys([*own, "localhost", "127.0.0.1", "::1", *_addresses(snapshot)]))


def trusted(snapshot: Snapshot) -> str:
    """Return what to check the server with, in PEM: the authority, and the server's own chain where it comes from elsewhere."""
    keys = dict(in_place(snapshot))
    issuer = next((key for at, key in keys.items() if at.startswith("/ca")), None)
    wanted = [issuer] if not any(foreign(snapshot, Place(PATH))) else [issuer, keys.get("/server")]
    found = [snapshot.find(x509.NODE, key) for key in wanted if key]
    return "".join(certificate.certificate for certificate in found if certificate)


def _full_name(snapshot: Snapshot) -> str:
    named = snapshot.read(naming.NODE)
    return ".".join(part for part in (named.hostname, named.domainname) if part)


def _addresses(snapshot: Snapshot) -> Iterator[str]:
    """Yield the addresses of the web listeners."""
    for at in WEB.values():
        for line in snapshot.read(at).listen:
            with contextlib.suppress(KeyError):  # refused as a reference to nothing
                yield str(address_of(snapshot, line.address.text).ip)


def _leads_to(snapshot: Snapshot, key: str, issuer: crypto.Certificate) -> bool:
    """Whether the last certificate of a chain is the issuer, or signed by it."""
    found = snapshot.find(x509.NODE, key)
    if found is None:
        return True
    last = crypto.load_pem_x509_certificates(found.certificate.encode())[-1]
    try:
        if last != issuer:
            last.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


NODE: Singleton[ApplianceCertificates] = Singleton(
    title="Certificates of the appliance",
    scope="node",
    model=ApplianceCertificates,
    default={"ca": None, "server": None, "tsa": None},
    rules=(nothing_missing, fit),
    advice=(ends_soon, foreign),
)
