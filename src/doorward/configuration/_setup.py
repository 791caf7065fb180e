"""What the setup wizard asks. No endpoint of the tree: what becomes of the answers is written in ``transaction.setup``."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter
from pydantic_core import PydanticCustomError

from doorward.configuration.datetime.timezone import ZoneName
from doorward.configuration.passwords import Plain
from doorward.configuration.x509 import NewCertificate
from doorward.tree.fields import Cidr, Confidential, HostName, Ip, Mail, bad_format, host_name, ip_address
from doorward.tree.models import Body


def _label(value: str) -> str:
    name = host_name(value)
    if "." in name:
        raise bad_format("Must be a name without domain.")
    return name


def _host(value: str) -> str:
    """Return an IP address or a host name in canonical form."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return host_name(value)
    return ip_address(value)


Host = Annotated[str, StringConstraints(max_length=254), AfterValidator(_host)]


def _accepted(value: bool) -> bool:  # noqa: FBT001 - a validator
    if not value:
        raise PydanticCustomError("enum", "Must be true.")
    return value


Accepted = Annotated[bool, AfterValidator(_accepted)]


class Administration(Body):
    """Who may do everything."""

    admin_password: Plain = Field(description="The password of the account admin.")
    root_password: Annotated[str, Confidential] | None = Field(
        None, description="Ignored: the root account of the machine is left alone."
    )


class Network(Body):
    """Where the node is."""

    hostname: Annotated[str, StringConstraints(max_length=64), AfterValidator(_label)] = Field(description="Name without domain.")
    domainname: HostName = Field(description="Domain.")
    initial_address: Cidr = Field(
        description="Address with prefix, in place of the first one of nic1.", examples=["192.0.2.5/24"]
    )
    vlantag: int | None = Field(None, ge=0, le=4094, description="VLAN of the address; null: that of the first interface.")
    gateway: Ip | None = Field(None, description="Router for everything else.")
    primary_dns: Ip | None = Field(None, description="Name server; null: those of the machine.")
    secondary_dns: Ip | None = Field(None, description="Second name server.")


class Mailing(Body):
    """How mail leaves, and to whom."""

    smtp_server: Host | None = Field(None, description="Mail server, by name or address.")
    admin_email: Mail | None = Field(None, description="Who gets mail.")


class Clock(Body):
    """Where the time comes from."""

    timezone: ZoneName = Field(description="Time zone of the node.")
    primary_ntp_server: Host | None = Field(None, description="Time server, by name or address; null: the usual ones.")


class Certificates(Body):
    """Certificates in place of those that the node has made for itself."""

    ca: NewCertificate | None = Field(None, description="The authority, with or without its private key.")
    webserver: NewCertificate | None = Field(None, description="What the web listeners show, with private key.")
    tsa: NewCertificate | None = Field(None, description="What signs time stamps, with private key.")


class FirstSettings(Body):
    """The answers to the setup wizard."""

    accept_eula: Accepted = Field(description="That the licence of Doorward is accepted: true.")
    administration: Administration = Field(description="Who may do everything.")
    network: Network | None = Field(None, description="Where the node is; null: as it was found.")
    datetime: Clock | None = Field(None, description="Where the time comes from; null: as it was found.")
    email: Mailing | None = Field(None, description="How mail leaves; null: it does not.")
    certificates: Certificates | None = Field(None, description="Certificates; null: those that the node has made for itself.")
    license: Any = Field(None, description="Ignored: Doorward has no licence file.")


ADAPTER: TypeAdapter[FirstSettings] = TypeAdapter(FirstSettings)
