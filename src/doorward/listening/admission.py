"""Rules of admission: by its address alone, before a byte is exchanged, a client is let in to a service or disconnected."""

from __future__ import annotations

import ipaddress

from doorward.host.resources import AccessRule


def admit(rules: tuple[AccessRule, ...], address: str) -> str | None:
    """Return the service of the first rule that lets a client's address in; None where none does."""
    peer = ipaddress.ip_address(address)
    for rule in rules:
        if rule.allowed_from is None or any(peer in ipaddress.ip_network(cidr, strict=False) for cidr in rule.allowed_from):
            return rule.service
    return None
