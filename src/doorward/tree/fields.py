"""The shared vocabulary of bodies: texts, names, addresses, ports, times (configuration contract, section 1.4).

Every type brings its value into canonical form: names in lower case without trailing dot, IPv6 compressed, texts in NFC.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from doorward.tree.models import Body, Variants

_MAX_HOST_NAME = 253
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")


def bad_format(message: str) -> PydanticCustomError:
    """Return the error that becomes a problem with code ``format``."""
    return PydanticCustomError("format", message)


def text(value: str) -> str:
    """Return the text in NFC. Refuses control characters and blanks at either end."""
    value = unicodedata.normalize("NFC", value)
    if value != value.strip():
        raise bad_format("Blanks at the ends are not allowed.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        raise bad_format("Control characters are not allowed.")
    return value


def matching(pattern: str, explained: str) -> Callable[[str], str]:
    """Return a validator of the whole text against a pattern, with a sentence for people."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise bad_format(explained)
        return value

    return check


def host_name(value: str) -> str:
    """Return an RFC 1123 name in lower case without trailing dot; IDN only as ``xn--``."""
    name = value.lower().removesuffix(".")
    labels = name.split(".")
    if (
        not value.isascii()  # before lower(): the Kelvin sign becomes a k
        or len(name) > _MAX_HOST_NAME
        or not all(_LABEL.match(label) for label in labels)
        or labels[-1].isdigit()
    ):
        raise bad_format("Must be a host name.")
    return name


def ip_address(value: str) -> str:
    """Return an IPv4 or IPv6 address in canonical form. Refuses zones, unspecified, multicast and broadcast addresses."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise bad_format("Must be an IP address.") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise bad_format("Must be an IP address without zone.")
    if address.is_unspecified or address.is_multicast or value == "255.255.255.255":
        raise bad_format("Must be the IP address of one host.")
    return str(address)


Text = Annotated[str, StringConstraints(max_length=4096), AfterValidator(text)]
"""A text of at most 4,096 characters."""

HostName = Annotated[str, StringConstraints(max_length=254), AfterValidator(host_name)]
"""A host name, one label or more."""

_IP_SCHEMA = {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}
Ip = Annotated[str, StringConstraints(max_length=64), AfterValidator(ip_address), WithJsonSchema(_IP_SCHEMA)]
"""An address of one host."""

Port = Annotated[int, Field(ge=1, le=65535)]
"""A TCP or UDP port."""

Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    AfterValidator(text),
    AfterValidator(matching(r"\S+", "White space is not allowed in a name.")),
    AfterValidator(matching(r"(?!@order\Z).*", "@order is no name.")),
]
"""The name of an object: 1-128 characters without white space."""


def network(value: str) -> str:
    """Return a network or an address with prefix in canonical form, host bits kept."""
    try:
        if "%" in value or "/" not in value or not value.rpartition("/")[2].isdecimal():
            raise ValueError
        return str(ipaddress.ip_interface(value))
    except ValueError:
        raise bad_format("Must be an address with prefix, such as 10.0.0.0/8.") from None


def any_network(value: str) -> str:
    """Return a network in canonical form, host bits kept; a plain address is a network of its own."""
    if "/" in value:
        return network(value)
    try:
        if "%" in value:
            raise ValueError
        address = ipaddress.ip_address(value)
    except ValueError:
        raise bad_format("Must be a network or an address, such as 10.0.0.0/8 or 10.0.0.5.") from None
    return f"{address}/{address.max_prefixlen}"


def domain(value: str) -> str:
    """Return a host name in canonical form, or all names below one: ``*.`` and a name."""
    return f"*.{host_name(value[2:])}" if value.startswith("*.") else host_name(value)


def same_network(text: str) -> str:
    """Return what tells a network from others, whatever its host bits are."""
    return str(ipaddress.ip_network(text, strict=False))


def mail_address(value: str) -> str:
    """Return ``local@domain`` with the domain in lower case."""
    local, at, domain = value.rpartition("@")
    if not at or not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", local) or local.strip(".") != local or ".." in local:
        raise bad_format("Must be a mail address.")
    return f"{local}@{host_name(domain)}"


Cidr = Annotated[str, StringConstraints(max_length=64), AfterValidator(network)]
"""A network in CIDR notation; host bits may be set."""

Network = Annotated[str, StringConstraints(max_length=64), AfterValidator(any_network)]
"""A network in CIDR notation; host bits may be set, and a plain address is a network of one."""

Domain = Annotated[str, StringConstraints(max_length=256), AfterValidator(domain)]
"""A host name, or ``*.`` and a name: all names below it."""

Mail = Annotated[
    str, StringConstraints(max_length=254), AfterValidator(mail_address), Field(json_schema_extra={"format": "email"})
]
"""A mail address."""

_CLOCK = matching(r"([01][0-9]|2[0-3]):[0-5][0-9]", "Must be a time from 00:00 to 23:59.")
TimeOfDay = Annotated[str, StringConstraints(max_length=5), AfterValidator(_CLOCK)]
"""A time of day, ``HH:MM``, in the time zone of the node."""


class IpAddress(Body):
    """A host, given by its IP address."""

    selection: Literal["ip"] = Field(description="The value is an IP address.")
    value: Ip = Field(description="IPv4 or IPv6 address.", examples=["10.20.30.40"])


class FqdnAddress(Body):
    """A host, given by its name."""

    selection: Literal["fqdn"] = Field(description="The value is a host name.")
    value: HostName = Field(description="Host name, RFC 1123.", examples=["pool.ntp.org"])


Address = Annotated[FqdnAddress | IpAddress, Variants("selection")]
"""A host by name or by IP address: ``{"selection": "fqdn" | "ip", "value": "..."}``."""

Confidential = Field(json_schema_extra={"format": "password", "writeOnly": True, "x-doorward": {"secret": True}})
"""Annotation of a text that is sent and never shown again."""
