"""The certificates of the appliance: ``/api/configuration/management/certificates``.

An authority, the identity of the web server and that of the time stamping authority. All three are made at the first start, for
ten years, the last two signed by the first. After a commit new connections to the web listeners get to see ``server`` at once,
proven by a TLS handshake that shows its fingerprint; open connections stay. The channel between nodes has keys of its own.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from cryptography import x509 as crypto
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import Field

from doorward.configuration import x509
from doorward.configuration._tls import CertificateReference
from doorward.configuration.network._addresses import address_of
from doorward.host.resources import Shown
from doorward.tree.models import Body, union
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/management/certificates"
NAMING = "/api/configuration/network/naming"

_SOON = timedelta(days=30)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_POINTERS = {"server": "/server", "tsa": "/tsa"}


class OwnAuthority(Body):
    """An authority whose private key is here."""

    selection: Literal["identity"] = Field(description="The private key of the authority is here.")
    x509_identity: CertificateReference = Field(description="Key of its certificate, which has CA:TRUE, with private key.")


class ForeignAuthority(Body):
    """An authority that signs elsewhere."""

    selection: Literal["certificate"] = Field(description="Only the certificate of the authority is here.")
    x509_certificate: CertificateReference = Field(description="Key of its certificate, which has CA:TRUE.")


Authority: Any = union("selection", ForeignAuthority, OwnAuthority)


class Certificates(Body):
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
    value = snapshot.value(PATH)
    if authority := value["ca"]:
        member = {"identity": "x509_identity", "certificate": "x509_certificate"}[authority["selection"]]
        yield f"/ca/{member}", authority[member]
    for name, at in _POINTERS.items():
        if value[name]:
            yield at, value[name]


def authority(snapshot: Snapshot) -> crypto.Certificate | None:
    """Return the certificate of the authority."""
    return next((x509.certificate_of(snapshot, key) for at, key in in_place(snapshot) if at.startswith("/ca")), None)


def shown(snapshot: Snapshot) -> Shown | None:
    """Return what the web listeners show."""
    key = snapshot.value(PATH)["server"]
    document = snapshot.document(Place(x509.PATH, key)) if key else None
    if document is None:
        return None
    return Shown(document.value["certificate"], key, document.value["fingerprint"].removeprefix("SHA256:"))


def nothing_missing(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Want all three."""
    for name, key in snapshot.value(PATH).items():
        if key is None:
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
        if found.not_valid_after_utc <= now:
            yield Problem("expired", f"Ended on {found.not_valid_after_utc:%Y-%m-%d %H:%M} UTC.", at)
        if found.not_valid_before_utc > now:
            yield Problem("not_yet_valid", f"Begins on {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC.", at)


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
    """Warn of certificates with fewer than 30 days left."""
    now = datetime.now(UTC)
    for at, key in in_place(snapshot):
        found = x509.certificate_of(snapshot, key)
        if found is not None and now < found.not_valid_after_utc < now + _SOON:
            yield Problem("expires_soon", f"Ends on {found.not_valid_after_utc:%Y-%m-%d %H:%M} UTC.", at)


def foreign(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of certificates that the authority did not sign: who trusts it does not trust them."""
    issuer = authority(snapshot)
    for at, key in in_place(snapshot):
        if issuer is not None and not at.startswith("/ca") and not _leads_to(snapshot, key, issuer):
            yield Problem("not_issued_by_ca", "Not signed by the certificate in ca.", at)


def names_missing(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of a server certificate that lacks the name of the node or an address it listens on; on behalf of ``admin_web``."""
    key = snapshot.value(PATH)["server"]
    found = x509.certificate_of(snapshot, key) if key else None
    if found is None:
        return
    extension = _extension(found, crypto.SubjectAlternativeName)
    said = [*extension.value] if extension else []
    wanted: list[crypto.GeneralName] = [crypto.DNSName(_full_name(snapshot))]
    wanted += [crypto.IPAddress(ipaddress.ip_address(address)) for address in dict.fromkeys(_addresses(snapshot))]
    if missing := [str(name.value) for name in wanted if name not in said]:
        message = f"The certificate of the server is not for {', '.join(missing)}."
        yield Problem("name_mismatch", message, "/server", PATH)


def names(snapshot: Snapshot) -> list[str]:
    """Return what the first certificate of the server is for: the node's names, loopback, the addresses it listens on."""
    own = [_full_name(snapshot), snapshot.value(NAMING)["hostname"]]
    return list(dict.fromkeys([*own, "localhost", "127.0.0.1", "::1", *_addresses(snapshot)]))


def trusted(snapshot: Snapshot) -> str:
    """Return what to check the server with, in PEM: the authority, and the server's own chain where it comes from elsewhere."""
    keys = dict(in_place(snapshot))
    issuer = next((key for at, key in keys.items() if at.startswith("/ca")), None)
    wanted = [issuer] if not any(foreign(snapshot, Place(PATH))) else [issuer, keys.get("/server")]
    documents = [snapshot.document(Place(x509.PATH, key)) for key in wanted if key]
    return "".join(document.value["certificate"] for document in documents if document)


def _full_name(snapshot: Snapshot) -> str:
    naming = snapshot.value(NAMING)
    return ".".join(part for part in (naming["hostname"], naming["domainname"]) if part)


def _addresses(snapshot: Snapshot) -> Iterator[str]:
    """Yield the addresses of the web listeners."""
    for path in ("admin_web", "user_web"):
        for line in snapshot.value(f"/api/configuration/local_services/{path}")["listen"]:
            with contextlib.suppress(KeyError):  # refused as a reference to nothing
                yield str(address_of(snapshot, line["address"]).ip)


def _leads_to(snapshot: Snapshot, key: str, issuer: crypto.Certificate) -> bool:
    """Whether the last certificate of a chain is the issuer, or signed by it."""
    document = snapshot.document(Place(x509.PATH, key))
    if document is None:
        return True
    last = crypto.load_pem_x509_certificates(document.value["certificate"].encode())[-1]
    try:
        if last != issuer:
            last.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


NODE = Singleton(
    title="Certificates of the appliance",
    scope="node",
    model=Certificates,
    default={"ca": None, "server": None, "tsa": None},
    rules=(nothing_missing, fit),
    advice=(ends_soon, foreign),
)
