"""Where web services listen and who is let in, as a body; shared by the services and by those that read them. No endpoint."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import InitErrorDetails

from doorward.configuration.network._addresses import InterfaceAddress
from doorward.tree.described import At
from doorward.tree.fields import Cidr, Port
from doorward.tree.models import Body, Elements, Interrelated, Off, Switched, wrong

ADMIN_WEB = "/api/configuration/local_services/admin_web"
USER_WEB = "/api/configuration/local_services/user_web"
MAX_LISTENS = 16
"""Lines that a service may listen on."""

HTTP_PORT, HTTPS_PORT = 80, 443


def _network(cidr: str) -> str:
    return str(ipaddress.ip_network(cidr, strict=False))


class Restriction(Body):
    """Only some networks are let in."""

    enabled: Literal[True] = Field(description="Whoever is in none of the networks is disconnected, before TLS begins.")
    allowed_from: Annotated[list[Cidr], Elements(least=1, most=64, unique=_network)] = Field(
        description="Networks; host bits may be set.", examples=[["10.20.0.0/16", "2001:db8::/64"]]
    )


AccessRestriction = Annotated[Restriction | Off, Switched()]
OPEN = Off(enabled=False)


class ListenLine(Interrelated):
    """An address with its two ports."""

    address: InterfaceAddress = Field(description="Key of an address of a network interface.")
    http_port: Port | None = Field(HTTP_PORT, description="TCP port that only redirects to HTTPS; null: none.")
    https_port: Port = Field(HTTPS_PORT, description="TCP port for HTTPS.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Want two ports."""
        if sent.get("http_port", HTTP_PORT) == sent.get("https_port", HTTPS_PORT):
            yield wrong("contradiction", "Must differ from https_port.", "http_port")


def whole(line: ListenLine) -> tuple[str, int | None, int]:
    """Return what no two lines of a service share."""
    return line.address.text, line.http_port, line.https_port


class WebService(Body):
    """Where a web service listens, and who is let in."""

    access_restriction: AccessRestriction = Field(OPEN, description="Whether only some networks are let in.")
    listen: Annotated[list[ListenLine], Elements(most=MAX_LISTENS, unique=whole)] = Field([], description="Addresses and ports.")

    @property
    def allowed_from(self) -> tuple[str, ...] | None:
        """The networks that are let in; None: everybody."""
        restriction = self.access_restriction
        return tuple(restriction.allowed_from) if isinstance(restriction, Restriction) else None


WEB: dict[str, At[WebService]] = {path: At(path, WebService) for path in (ADMIN_WEB, USER_WEB)}
"""Where the web services are read."""
