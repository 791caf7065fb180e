"""What ``doorward quickstart`` makes of a fresh node: one policy that records, for named servers, with nothing stored."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from msgspec import Struct

from doorward.cli.failures import CommandError, Usage
from doorward.cli.remote import Remote
from doorward.cli.servers import ServerName

POLICY: Final = "quickstart"
"""The name of the connection policy, and of its channel policy."""
CHANNELS: Final = ("session-shell", "session-exec", "session-exec-scp", "session-subsystem-sftp")
"""What the policy lets through: no forwards, no agent, no windows, which are ways around the recording of a screen."""
_CONNECTIONS = "/api/configuration/ssh/connections"
_OPTIONS = "/api/configuration/ssh/options"
_NICS = tuple(f"/api/configuration/network/nics/nic{number}" for number in (1, 2, 3))


Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class QuickstartPlan(Struct, frozen=True):
    """What is to be committed, as ``doorward apply`` takes it, and where users come in then; ``is_new``: by a new policy."""

    described: dict[str, Any]
    host: str
    port: int
    clients: tuple[str, ...]
    is_new: bool = False


def start(remote: Remote, server: ServerName, port: int, address: str = "") -> QuickstartPlan:
    """Return what lets users through to a server.

    The first time it is a policy on an address of the node, for clients of its network; from then on servers are added to that
    policy, which is left as it is otherwise. Raises Usage, CommandError.
    """
    described: dict[str, Any] = {}
    if not remote.value(_OPTIONS)["service"]["enabled"]:
        described["options"] = {"service": {"enabled": True}}
    present = next((body for body in remote.objects(_CONNECTIONS).values() if body["name"] == POLICY), None)
    if present is None:
        own = _interface(remote, address)
        described["channel_policies"] = {POLICY: {"rules": [{"channel": name} for name in CHANNELS]}}
        described["connections"] = {POLICY: _policy(own, port, server)}
        return QuickstartPlan({"ssh": described}, str(own.ip), port, (str(own.network),), is_new=True)
    network = present["network"]
    host = str(ipaddress.ip_network(network["targets"][0]).network_address)
    inband = present["server_address"]
    if inband["selection"] != "inband" or not present["active"]:
        raise CommandError(f"ssh/connections/{POLICY} is not what this command made; give it another name, and start anew.")
    if _target(server) not in inband["domains"]:
        domains = [*inband["domains"], _target(server)]
        described["connections"] = {POLICY: {"server_address": {"domains": domains}}}
    return QuickstartPlan({"ssh": described} if described else {}, host, network["ports"][0], tuple(network["clients"]))


def _policy(own: Interface, port: int, server: ServerName) -> dict[str, Any]:
    return {
        "network": {
            "clients": [str(own.network)],
            "ports": [port],
            "targets": [f"{own.ip}/{own.max_prefixlen}"],
        },
        "server_address": {"selection": "inband", "domains": [_target(server)]},
        "server_side_hostkeys": {"plain_hostkey": {"check": "trusted_only"}},
        "policies": {
            "audit_policy": "default",
            "authentication_policy": "default",
            "channel_policy": POLICY,
            "settings": "default",
        },
    }


def _target(server: ServerName) -> dict[str, Any]:
    try:
        network = ipaddress.ip_network(server.host)
    except ValueError:
        return {"domain": {"selection": "domain", "value": server.host}, "port": server.port}
    return {"domain": {"selection": "address", "value": str(network)}, "port": server.port}


def _interface(remote: Remote, address: str) -> Interface:
    """Return the address of the node that is meant, or its first one, with its network. Raises Usage, CommandError."""
    found = [
        ipaddress.ip_interface(text)
        for nic in _NICS
        for interface in _members(remote.value(nic)["interfaces"])
        for text in _members(interface["addresses"])
    ]
    if not found:
        raise CommandError("The node has no address yet; see network/nics.")
    if not address:
        return found[0]
    for one in found:
        if str(one.ip) == address:
            return one
    raise Usage(f"{address} is no address of the node; it has {', '.join(str(one.ip) for one in found)}.")


def _members(ordered: dict[str, Any]) -> list[Any]:
    """Return the entries of a map in its order."""
    return [ordered[key] for key in ordered.get("@order", ())]
