"""Where the appliance's own log records are sent: ``/api/configuration/management/syslog``.

Every record of level info and above goes to every receiver: with the facility authpriv what concerns access and changes of the
configuration, with daemon the rest. TCP and TLS use octet counting. While a receiver is away up to 10,000 records wait for it;
then the oldest are dropped, and a record tells how many. Secrets are never logged. Nothing on the host changes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field

from doorward.configuration import x509
from doorward.configuration._tls import ANONYMOUS, CHECKED, ClientAuthentication, ClientIdentity, ServerCheck
from doorward.tree.destinations import Destination
from doorward.tree.fields import Address, Port
from doorward.tree.models import Body, Elements, Variants
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/management/syslog"


class Udp(Body):
    """A datagram a record."""

    selection: Literal["udp"] = Field(description="UDP: a record may be lost without a sign.")


class Tcp(Body):
    """A stream in clear text."""

    selection: Literal["tcp"] = Field(description="TCP.")


class Tls(Body):
    """A stream that is encrypted."""

    selection: Literal["tls"] = Field(description="TLS.")
    client_authentication: ClientAuthentication = Field(ANONYMOUS, description="Whether the server gets to see a certificate.")
    server_certificate_check: ServerCheck = Field(CHECKED, description="What the server must show.")


Transport = Annotated[Udp | Tcp | Tls, Variants("selection")]


class Receiver(Body):
    """A server that collects log records."""

    destination = Destination("address", "port", "transport.selection", "transport.server_certificate_check")

    address: Address = Field(description="The server.")
    port: Port = Field(description="Its port.", examples=[514, 6514])
    message_format: Literal["rfc3164", "rfc5424"] = Field("rfc5424", description="Form of a record.")
    transport: Transport = Field(Tcp(selection="tcp"), description="How records get there.")


def _identity(receiver: Receiver) -> Hashable:
    return receiver.address.value, receiver.port, receiver.transport.selection


class Syslog(Body):
    """Where log records go."""

    receivers: Annotated[list[Receiver], Elements(most=8, unique=_identity)] = Field(
        default_factory=list, description="Every one gets every record; no two with the same address, port and transport."
    )


def identities_have_keys(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Refuse to show certificates whose private keys are not here."""
    for index, receiver in enumerate(snapshot.read(NODE).receivers):
        transport = receiver.transport
        if isinstance(transport, Tls) and isinstance(transport.client_authentication, ClientIdentity):
            at = f"/receivers/{index}/transport/client_authentication/x509_identity"
            yield from x509.without_private_key(snapshot, transport.client_authentication.x509_identity.key, at)


def added(old: Syslog | None, new: Syslog) -> Iterable[tuple[str, str, int]]:
    """Yield place, host and port of receivers that are new; port 0 where nothing can be connected to."""
    before = old.receivers if old else []
    for index, receiver in enumerate(new.receivers):
        if receiver not in before:
            yield f"/receivers/{index}", receiver.address.value, 0 if isinstance(receiver.transport, Udp) else receiver.port


NODE: Singleton[Syslog] = Singleton(
    title="Syslog", model=Syslog, default={"receivers": []}, rules=(identities_have_keys,), reach=added
)
