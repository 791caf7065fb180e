"""Every place that sends a stored secret somewhere says to whom: a new endpoint that forgets it fails here."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from doorward.configuration._setup import Host
from doorward.configuration._tls import ServerCertificateCheck
from doorward.configuration.policies.credentialstores import HostPattern
from doorward.tree.destinations import Bound, Destination
from doorward.tree.fields import Address, FqdnAddress, HostName, Ip, IpAddress, Port
from doorward.tree.nodes import Valued
from doorward.tree.references import Reference, RefersTo
from tests.unit.transaction.rig import TREE

Members = tuple[str, ...]
HOSTS = (Host, HostName, HostPattern, Ip, Port, FqdnAddress, IpAddress)
"""What tells where a connection goes."""
PROTECTING = {
    "bucket", "encryption", "endpoint", "protocol_version", "server_certificate_ca", "server_host_keys", "smtp_encryption", "tls",
    "transport",
}  # fmt: skip
MODELS = {e.path: e.node.model for e in TREE if isinstance(e.node, Valued) and e.node.supported and e.node.model is not Any}


class Secret(typing.NamedTuple):
    """A member that refers to a secret: the bodies that it stands in, outermost first, and its name."""

    inside: tuple[type[BaseModel], ...]
    name: str


def classes(annotation: Any) -> Iterator[type[BaseModel]]:
    """The bodies that an annotation is made of, itself included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    if typing.get_origin(annotation) is Reference:  # its model is that of another place
        return
    for part in typing.get_args(annotation):
        yield from classes(part)


def hints(body: type[BaseModel]) -> dict[str, Any]:
    own = typing.get_type_hints(body, include_extras=True)
    return {name: own[name] for name in body.model_fields}


def seals(annotation: Any) -> bool:
    """Whether an annotation itself is a reference to a secret that is used as it is."""
    metadata = getattr(annotation, "__metadata__", ())
    if any(isinstance(found, RefersTo) and found.form == "sealed" for found in metadata):
        return True
    return any(seals(part) for part in typing.get_args(annotation))


def is_host(annotation: Any) -> bool:
    """Whether an annotation itself says where a connection goes."""
    if annotation in HOSTS:
        return True
    return any(is_host(part) for part in typing.get_args(annotation))


def secrets_in(annotation: Any, inside: tuple[type[BaseModel], ...] = ()) -> Iterator[Secret]:
    for body in classes(annotation):
        for name, hint in hints(body).items():
            if seals(hint):
                yield Secret((*inside, body), name)
            yield from secrets_in(hint, (*inside, body))


def telling(annotation: Any, at: Members = ()) -> Iterator[Members]:
    """Members that tell where a connection goes, or what protects it."""
    for body in classes(annotation):
        if body is ServerCertificateCheck:
            yield at
            continue
        for name, hint in hints(body).items():
            if is_host(hint) or (name in PROTECTING and not any(map(hints, classes(hint)))):
                yield (*at, name)
            else:
                yield from telling(hint, (*at, name))


def faults(model: Any) -> list[str]:
    """What is not declared of the secrets of a model."""
    found = []
    for secret in dict.fromkeys(secrets_in(model)):
        declared = next((b for b in reversed(secret.inside) if issubclass(b, Bound) and b.destination is not None), None)
        if declared is None and any(telling(model)):
            found.append(f"{secret.name}: nobody says where it goes")
        elif declared is not None and (destination := declared.destination) is not None and destination.members:
            covered = [*destination.members, *destination.shrinking]
            found += [
                f"{secret.name}: {'.'.join(at)} is no part of its destination"
                for at in telling(declared)
                if not any(".".join(at).startswith(name) for name in covered)
            ]
            found += [f"{name} is no member" for name in covered if not exists(declared, name)]
    return found


def exists(model: Any, dotted: str) -> bool:
    name, _, rest = dotted.partition(".")
    members = [hints(body)[name] for body in classes(model) if name in hints(body)]
    return any(not rest or exists(member, rest) for member in members)


@pytest.mark.parametrize("path", MODELS)
def test_every_secret_beside_a_host_has_a_destination(path: str) -> None:
    assert faults(MODELS[path]) == []


def test_the_walk_meets_the_places_that_send_secrets() -> None:
    found = {path.rpartition("/")[2] for path, model in MODELS.items() if any(secrets_in(model)) and any(telling(model))}
    assert found == {
        "archive_cleanup_policies", "authentication_policies", "backup_policies", "connections", "credentialstores", "email",
        "join_request", "ldap_servers", "nodes", "ntp_servers", "syslog",
    }  # fmt: skip


SharedSecret = typing.Annotated[Reference[typing.Any], RefersTo("/api/configuration/passwords", form="sealed")]


class Checked(Bound):
    """TLS."""

    selection: Literal["tls"] = Field(description="x")
    server_certificate_check: ServerCertificateCheck = Field(description="x")


class Plain(Bound):
    """No TLS."""

    selection: Literal["plain"] = Field(description="x")


class Login(Bound):
    """A secret."""

    secret: SharedSecret = Field(description="x")


class Radius(Bound):
    """An endpoint of a later release that forgets to say where its secret goes."""

    login: Login = Field(description="x")
    server: Address = Field(description="x")
    port: Port | None = Field(description="x")
    transport: Plain | Checked = Field(description="x")


class RadiusWithoutProtection(Radius):
    """It forgets what protects the secret."""

    destination = Destination("server", "port")


class RadiusWithoutPort(Radius):
    """It forgets the port, and misspells the protection."""

    destination = Destination("server", "transport.selections", "transport.server_certificate_check")


class WholeRadius(Radius):
    """It says all."""

    destination = Destination("server", "port", "transport.selection", "transport.server_certificate_check")


def test_what_is_forgotten_is_noticed() -> None:
    nobody, secrets = "nobody says where it goes", ("secret", "server_certificate_ca")
    assert sorted(faults(Radius)) == [f"{name}: {nobody}" for name in secrets]
    assert faults(list[Radius] | None) == faults(Radius)
    check = "transport.server_certificate_check is no part of its destination"
    assert sorted(faults(RadiusWithoutProtection)) == [f"{name}: {check}" for name in secrets]
    port = "port is no part of its destination"
    assert set(faults(RadiusWithoutPort)) == {f"{name}: {port}" for name in secrets} | {"transport.selections is no member"}
    assert faults(WholeRadius) == []
