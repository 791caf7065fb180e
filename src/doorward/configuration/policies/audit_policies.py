"""How recordings are encrypted, signed and time-stamped: ``/api/configuration/policies/audit_policies``.

The connections that refer to a policy record by it, from the next session on. Every certificate of ``encryption`` can open a
recording by itself, and without encryption whoever gets hold of a file can. What was typed may go to fewer people, by
``keystroke_certificates``. Fails the recording of a session, the session ends, unless ``when_recording_fails`` says ``go_on``.
Encrypted sessions can be followed live only with ``live_view``. These three are extensions, shown only where they are not as
they are by default. The built-in policy ``default`` can be changed, but not renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import AfterValidator, Field, StringConstraints

from doorward.configuration import x509
from doorward.configuration._tls import CertificateReference
from doorward.tree.fields import Name, bad_format, host_name, ip_address, matching, text
from doorward.tree.models import Body, Elements, Off, Switched, Variants, extension
from doorward.tree.nodes import Collection
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/policies/audit_policies"
DEFAULT = "78101850949e47437dd91d"
"""The key of the built-in policy."""

_OID = r"([01]\.(0|[1-9]|[1-3][0-9])|2\.(0|[1-9][0-9]*))(\.(0|[1-9][0-9]*))*"


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise bad_format("Must be a URL.") from None
    if parts.scheme not in {"http", "https"} or not re.fullmatch(r"[!-~]+", value) or "@" in parts.netloc or port == 0:
        raise bad_format("Must be a URL of http or https without white space and user name.")
    (ip_address if ":" in host or re.fullmatch(r"[0-9.]+", host) else host_name)(host)
    return value


Recipients = Annotated[list[CertificateReference], Elements(least=1, most=16, unique=lambda one: one.key)]


class Encryption(Body):
    """Recordings are encrypted."""

    enabled: Literal[True] = Field(description="Recordings are encrypted.")
    certificates: Recipients = Field(description="Keys of certificates with RSA keys; each of them can open a recording.")
    keystroke_certificates: Recipients | None = extension(
        None, description="Keys of certificates that open what was typed as well; null: all of certificates do."
    )


class Signing(Body):
    """Recordings are signed."""

    enabled: Literal[True] = Field(description="Recordings are signed.")
    x509_identity: CertificateReference = Field(description="Key of the certificate to sign with; it needs its private key.")


class PolicyOid(Body):
    """A certain policy of the authority is asked for."""

    enabled: Literal[True] = Field(description="Time stamps are asked for under a certain policy.")
    policy_oid: Annotated[
        str, StringConstraints(max_length=128), AfterValidator(matching(_OID, "Must be an object identifier, such as 1.3.6."))
    ] = Field(description="Object identifier of the policy.", examples=["2.3.5.3.1.5.32.322.32"])


class LocalAuthority(Body):
    """Time stamps are made here."""

    selection: Literal["local"] = Field(description="The node makes the time stamps itself.")


OidSwitch = Annotated[PolicyOid | Off, Switched()]


class RemoteAuthority(Body):
    """Time stamps are asked for."""

    selection: Literal["remote"] = Field(description="An authority on the network makes the time stamps.")
    oid: OidSwitch = Field(description="The policy to ask for.")
    server_url: Annotated[str, StringConstraints(max_length=2048), AfterValidator(text), AfterValidator(_web_address)] = Field(
        description="Where the authority answers (RFC 3161 over HTTP or HTTPS).", examples=["http://tsa.example.com/"]
    )


Authority = Annotated[LocalAuthority | RemoteAuthority, Variants("selection")]


class Timestamping(Body):
    """Recordings are time-stamped."""

    enabled: Literal[True] = Field(description="Recordings are time-stamped.")
    server: Authority = Field(description="Who makes the stamps.")


EncryptionSwitch = Annotated[Encryption | Off, Switched()]
SigningSwitch = Annotated[Signing | Off, Switched()]
TimestampingSwitch = Annotated[Timestamping | Off, Switched()]


class AuditPolicy(Body):
    """An audit policy."""

    name: Name = Field(description="Name of the policy, unique.", examples=["default"])
    encryption: EncryptionSwitch = Field(Off(enabled=False), description="Who can open recordings.")
    signing: SigningSwitch = Field(Off(enabled=False), description="Who signs recordings.")
    timestamping: TimestampingSwitch = Field(Off(enabled=False), description="Proof of the time.")
    signing_and_timestamping_interval: Annotated[int, Field(ge=10, le=100_000)] = Field(
        30, description="Seconds between two signatures and time stamps."
    )
    when_recording_fails: Literal["end", "go_on"] = extension(
        "end", description="Whether a session ends when it can't be recorded any more, or goes on without, which is told loudly."
    )
    live_view: bool = extension(default=False, description="Whether encrypted sessions may be followed while they run.")


def fitting_certificates(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Refuse certificates that cannot do what they are there for."""
    policy = snapshot.find(NODE, place.key)
    if policy is None:
        return
    if isinstance(policy.encryption, Encryption):
        for name in ("certificates", "keystroke_certificates"):
            for index, reference in enumerate(getattr(policy.encryption, name) or ()):
                certificate = x509.certificate_of(snapshot, reference.key)
                if certificate is not None and not isinstance(certificate.public_key(), rsa.RSAPublicKey):
                    message = "Only a certificate with an RSA key can encrypt."
                    yield Problem("unsuitable", message, f"/encryption/{name}/{index}")
    if isinstance(policy.signing, Signing):
        key = policy.signing.x509_identity.key
        yield from x509.without_private_key(snapshot, key, "/signing/x509_identity")
        certificate = x509.certificate_of(snapshot, key)
        if certificate is not None and not isinstance(certificate.public_key(), rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            yield Problem("unsuitable", "Only a certificate with an RSA or ECDSA key can sign.", "/signing/x509_identity")


NODE: Collection[AuditPolicy] = Collection(
    title="Audit policies",
    model=AuditPolicy,
    default={
        DEFAULT: {
            "encryption": {"enabled": False},
            "name": "default",
            "signing": {"enabled": False},
            "signing_and_timestamping_interval": 30,
            "timestamping": {"enabled": False},
        }
    },
    fixed=("name",),
    unique="name",
    rules=(fitting_certificates,),
)
