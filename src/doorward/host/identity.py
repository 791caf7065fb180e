"""What the machine is called and whom it asks for names, read from the machine as it is."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Final

from doorward.host.machine import Machine

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MAX_DOMAIN: Final = 180


def naming(_machine: Machine) -> dict[str, str | None]:
    """Return the host's name and domain in the form of ``network/naming``; what is no host name is replaced."""
    hostname, _, domain = socket.gethostname().lower().partition(".")
    named = _is_label(hostname) and not hostname.isdigit()
    labels = domain.split(".")
    usable = all(map(_is_label, labels)) and not labels[-1].isdigit() and len(domain) <= _MAX_DOMAIN
    return {"domainname": domain if usable else "localdomain", "hostname": hostname if named else "doorward", "nickname": None}


def _is_label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None


def name_servers(_machine: Machine, path: Path = Path("/etc/resolv.conf")) -> dict[str, str | None]:
    """Return the first two name servers of the host in the form of ``network/dns``."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    found = list(dict.fromkeys(str(address) for line in lines if (address := _name_server(line)) is not None))
    return {"primary": found[0] if found else None, "secondary": found[1] if found[1:] else None}


def _name_server(line: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    words = line.split()
    if len(words) < 2 or words[0] != "nameserver" or "%" in words[1]:  # noqa: PLR2004 - a keyword and an address
        return None
    try:
        address = ipaddress.ip_address(words[1])
    except ValueError:
        return None
    return None if address.is_unspecified or address.is_multicast else address
