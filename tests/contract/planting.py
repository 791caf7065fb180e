"""Secrets for every field of the tree that takes one, found from the declarations: a new endpoint is covered by itself."""

from __future__ import annotations

import secrets
import typing
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from pydantic import BaseModel

from doorward.tree.models import Body
from doorward.tree.nodes import Singleton, WriteOnce
from doorward.tree.references import Reference, RefersTo
from doorward.tree.registry import Endpoint
from tests.contract.wire import Caller
from tests.unit.configuration.material import certificate, key, pem, text
from tests.unit.configuration.policies.samples import AUDIT, BACKUP, BACKUP_S3, KEY
from tests.unit.configuration.ssh.samples import RADIUS
from tests.unit.configuration.test_models import GOOD, MODELLED, bodies, short

Site = tuple[str, str]
"""A field that takes a reference: name of the body's class, name of the field."""
At = tuple[str | int, ...]

FOREIGN = {"ca": {"selection": "certificate", "x509_certificate": KEY}, "server": KEY, "tsa": KEY}
SEALED = {**AUDIT, "encryption": {**AUDIT["encryption"], "keystroke_certificates": [KEY]}}
IN_BUCKET = {**BACKUP_S3, "target": {**BACKUP_S3["target"], "server_certificate_ca": KEY}}
TRUSTED = {"nts": True, "server_certificate_ca": KEY}
TIME_SERVERS = [
    {"selection": "fqdn", "value": "time.example.com", **TRUSTED}, {"selection": "ip", "value": "192.0.2.123", **TRUSTED}
]  # fmt: skip
VARIANTS: dict[str, list[Any]] = {
    "datetime/ntp_servers": [TIME_SERVERS],
    "management/certificates": [FOREIGN],
    "policies/audit_policies": [SEALED],
    "policies/backup_policies": [BACKUP, IN_BUCKET],
    "ssh/authentication_policies": [RADIUS],
}
"""Bodies besides the samples, where one sample can't hold every field."""
STORES = {endpoint.path for endpoint in MODELLED if isinstance(endpoint.node, WriteOnce)}


def direct(annotation: Any) -> Iterator[RefersTo]:
    """References that stand in a field itself, not in a body inside."""
    if isinstance(annotation, RefersTo):
        yield annotation
    for part in (*getattr(annotation, "__metadata__", ()), *typing.get_args(annotation)):
        yield from direct(part)


def site(body: type[BaseModel], name: str) -> Site:
    return f"{body.__module__}.{body.__name__}", name


def declared() -> dict[Site, set[str]]:
    """Every field that takes a reference, and to what."""
    found: dict[Site, set[str]] = {}
    for body in bodies(Body):
        if body.__name__.startswith("_"):
            continue  # what several bodies share
        for name, annotation in typing.get_type_hints(body, include_extras=True).items():
            if to := {reference.to for reference in direct(annotation)}:
                found[site(body, name)] = to
    return found


def cluster_role(value: Any, at: At = (), where: Site | None = None) -> Iterator[tuple[At, Reference[Any], Site]]:
    """Every reference of a validated body: its place, itself, the field that it stands in."""
    if isinstance(value, Reference):
        assert where
        yield at, value, where
    elif isinstance(value, BaseModel):
        for name, member in value.__dict__.items():
            yield from cluster_role(member, (*at, name), site(type(value), name))
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from cluster_role(element, (*at, index), where)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from cluster_role(member, (*at, name), where)


def samples() -> Iterator[tuple[Endpoint, Any]]:
    """Every body of the samples that is written as it is."""
    for endpoint in MODELLED:
        if not isinstance(endpoint.node, WriteOnce) and not (isinstance(endpoint.node, Singleton) and endpoint.node.read_only):
            for body in (GOOD[short(endpoint)], *VARIANTS.get(short(endpoint), [])):
                yield endpoint, body


def changed(body: Any, at: At, value: Any) -> Any:
    """The body with another value at a place."""
    copied = deepcopy(body)
    inside = copied
    for part in at[:-1]:
        inside = inside[part]
    inside[at[-1]] = value
    return copied


@dataclass
class Planter:
    """Makes secrets, each another one, and remembers what nobody may ever see."""

    caller: Caller
    planted: list[str] = field(default_factory=lambda: ["PRIVATE KEY", "b3BlbnNzaC1rZXktdjE"])
    """Texts; the first ones stand for every private key, in PEM and as OpenSSH encodes it."""
    sites: set[Site] = field(default_factory=set)

    def make(self, store: str) -> str:
        """Put a secret into a store; return its key."""
        makers: dict[str, Callable[[], tuple[Any, str]]] = {
            "passwords": self._password, "private_keys": self._private_key, "x509": self._certificate
        }  # fmt: skip
        body, secret = makers[store.rpartition("/")[2]]()
        self.planted.append(secret)
        return str(self.caller.post(store, body).ok(201).json["key"])

    def _password(self) -> tuple[Any, str]:
        made = f"planted-{secrets.token_hex(12)}"
        return {"plain": made}, made

    def _private_key(self) -> tuple[Any, str]:
        made = pem(ed25519.Ed25519PrivateKey.generate())
        return {"private_key": made}, made.splitlines()[1]

    def _certificate(self) -> tuple[Any, str]:
        """One of RSA, which can be used for everything; making a key of its own for each takes too long."""
        private = key("rsa-2048")
        made = pem(private)
        return {"certificate": text(certificate("planted", private)), "private_key": made}, made.splitlines()[3]

    def plant(self, endpoint: Endpoint, body: Any) -> Any:
        """The body with a secret of its own wherever it takes one."""
        model = endpoint.node.adapter.validate_python(body)  # type: ignore[attr-defined]
        for at, reference, where in cluster_role(model):
            if reference.to in STORES:
                body = changed(body, at, self.make(reference.to))
                self.sites.add(where)
        return body

    def seen_in(self, content: bytes) -> list[str]:
        """What of all that may not be seen is there."""
        return [one for one in self.planted if one.encode() in content]
