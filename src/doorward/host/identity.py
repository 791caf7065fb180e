"""What the machine is called and whom it asks for names, read from the machine as it is."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

from doorward.host.machine import Machine


def naming(_machine: Machine) -> dict[str, str | None]:
    """Return the host's name and domain in the form of ``network/naming``."""
    hostname, _, domain = socket.gethostname().lower().partition(".")
    return {"domainname": domain or "localdomain", "hostname": hostname or "doorward", "nickname": None}


def name_servers(_machine: Machine, path: Path = Path("/etc/resolv.conf")) -> dict[str, str | None]:
    """Return the first two name servers of the host in the form of ``network/dns``."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    found = [str(address) for line in lines if (address := _name_server(line)) is not None]
    return {"primary": found[0] if found else None, "secondary": found[1] if found[1:] else None}


def _name_server(line: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    words = line.split()
    if len(words) < 2 or words[0] != "nameserver":  # noqa: PLR2004 - a keyword and an address
        return None
    try:
        return ipaddress.ip_address(words[1].partition("%")[0])
    except ValueError:
        return None
