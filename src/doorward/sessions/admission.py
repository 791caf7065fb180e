"""Who goes where, and as whom: decisions without memory, from what a client said and what the configuration allows.

Pure: no look-ups of names, no store. Control asks here and acts.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from doorward.configuration.policies.credentialstores import Credential, CredentialStore
from doorward.configuration.policies.usermapping_policies import Mapping, UsermappingPolicy
from doorward.configuration.ssh._connections import InbandTarget, TargetNetwork
from doorward.tree.fields import host_name
from doorward.tree.plaintext import plain

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

SSH_PORT = 22
MAX_USER = 1024
"""Characters of a user name with everything in it."""

_GATEWAY = "gu="
_SEPARATOR = re.compile("[@%]")
_SERVER = re.compile(r"(?:\[(?P<bracketed>[^\[\]]*)\]|(?P<plain>[^\[\]:+/]*))(?:[:+/](?P<port>[0-9]{1,5}))?")
_LOGIN = re.compile(rf"(?P<user>.*)[@%](?P<server>{_SERVER.pattern})", re.DOTALL)
_SHOWN = 80


class UnknownTargetError(ValueError):
    """What a client names is no target, or not one for it; the message is for the client."""


class Wanted(Struct, frozen=True):
    """What a client asks for.

    ``host`` "": it has not said. ``port`` None: any. ``gateway``: who it says it is at the gateway; "": it has not said.
    """

    user: str
    host: str = ""
    port: int | None = None
    gateway: str = ""


def parse_login(text: str, *, inband: bool) -> Wanted:
    """Take a user name of SSH apart: ``user@server``, ``user%server+port``, ``gu=gateway@user@server:port`` and the like.

    The last ``@`` or ``%`` stands before the server, so that names like ``jane@corp.example`` can be users. Where ``inband`` is
    False no server is looked for. Raises TargetError.
    """
    if len(text) > MAX_USER:
        raise UnknownTargetError("The user name is too long.")
    gateway, rest = "", text
    if text.startswith(_GATEWAY):
        rest = text.removeprefix(_GATEWAY)
        separator = "%" if rest.count("%") > 1 else None
        first = rest.find("%") if separator else next((found.start() for found in _SEPARATOR.finditer(rest)), -1)
        gateway, rest = (rest[:first], rest[first + 1 :]) if first >= 0 else (rest, "")
        if not gateway:
            raise UnknownTargetError("No user stands after gu=.")
    if not inband:
        return Wanted(rest, gateway=gateway)
    if _SEPARATOR.search(rest) is None:
        return Wanted(rest, gateway=gateway)
    parts = _LOGIN.fullmatch(rest)
    if parts is None:
        raise UnknownTargetError("This is no server: write user@host, user@host:port or user@[IPv6 address]:port.")
    host, port = parse_server(parts["server"]) if parts["server"] else ("", None)
    if not parts["user"] and not gateway:
        raise UnknownTargetError("No user stands before the server.")
    return Wanted(parts["user"], host, port, gateway)


def parse_server(text: str) -> tuple[str, int | None]:
    """Return host and port of ``host``, ``host:port``, ``host+port``, ``host/port``; IPv6 addresses in brackets.

    The host is in canonical form. Raises TargetError.
    """
    parts = _SERVER.fullmatch(text.strip())
    if parts is None:
        raise UnknownTargetError(f"{plain(text, _SHOWN)} is no server; IPv6 addresses are written in brackets.")
    port = None if parts["port"] is None else int(parts["port"])
    if port is not None and not 0 < port < 1 << 16:
        raise UnknownTargetError(f"{port} is no port.")
    bracketed = parts["bracketed"]
    name = parts["plain"] if bracketed is None else bracketed
    try:
        return str(one_address(name)), port
    except ValueError:
        pass
    try:
        if bracketed is not None:
            raise ValueError
        return host_name(name), port
    except ValueError:
        raise UnknownTargetError(f"{plain(name, _SHOWN) or 'Nothing'} is no host.") from None


def one_address(text: str) -> Ip:
    """Return an address; an IPv4 address in IPv6 clothes as what it is. Raises ValueError, also for zones."""
    found = ipaddress.ip_address(text)
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id is not None:
            raise ValueError("an address with a zone")
        return found.ipv4_mapped or found
    return found


class Restrictions(Struct, frozen=True):
    """Which servers users may name. ``own``: the addresses of this node."""

    domains: tuple[InbandTarget, ...]
    exceptions: tuple[InbandTarget, ...] = ()
    own: frozenset[Ip] = frozenset()


class Admitted(Struct, frozen=True):
    """Where a session may go: these addresses, no others, on this port."""

    addresses: tuple[str, ...]
    port: int


def admit(restrictions: Restrictions, name: str, port: int | None, addresses: Sequence[str]) -> Admitted:
    """Return where a session may go that asks for a server. ``addresses`` are what its name resolves to, or itself.

    Lines by address are compared with these, lines by domain with the name; exceptions win. Without a port it is that of the
    first line that fits, 22 where it has none. Raises TargetError.
    """
    known = [one_address(address) for address in addresses]
    lines = [line for line in restrictions.domains if any(_fits(line, name, address) for address in known)]
    for wanted in dict.fromkeys(line.port or SSH_PORT for line in lines) if port is None else (port,):
        good = [address for address in known if _may_reach(restrictions, name, address, wanted)]
        if good:
            return Admitted(tuple(map(str, good)), wanted)
    where = plain(name, _SHOWN) + (f" port {port}" if port is not None else "")
    raise UnknownTargetError(f"{where} is no server that you may connect to here.")


def _may_reach(restrictions: Restrictions, name: str, address: Ip, port: int) -> bool:
    if (
        address.is_unspecified
        or address.is_multicast
        or any(_fits(line, name, address) and line.port in {None, port} for line in restrictions.exceptions)
    ):
        return False
    fitting = [line for line in restrictions.domains if _fits(line, name, address) and line.port in {None, port}]
    if is_own(restrictions.own, address):
        return any(names_exactly(line, address) for line in fitting)
    return bool(fitting)


def is_own(own: Collection[Ip], address: Ip) -> bool:
    """Whether an address leads back to this node."""
    return address in own or address.is_loopback or str(address) == "255.255.255.255"


def names_exactly(line: InbandTarget, address: Ip) -> bool:
    """Whether a line is for this one address."""
    return isinstance(line.domain, TargetNetwork) and _network(line.domain.value) == ipaddress.ip_network(address)


def _fits(line: InbandTarget, name: str, address: Ip) -> bool:
    if isinstance(line.domain, TargetNetwork):
        return address in _network(line.domain.value)
    return in_domain(name, line.domain.value)


def in_domain(name: str, domain: str) -> bool:
    """Whether a host name is the one of a pattern, or below ``*.`` and a name. Addresses are no names."""
    if _is_address(name):
        return False
    name = name.lower().removesuffix(".")
    return name.endswith(domain[1:]) and len(name) > len(domain) - 1 if domain.startswith("*.") else name == domain


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


def map_user(policy: UsermappingPolicy | None, gateway: str, groups: Collection[str], wanted: str) -> str | None:
    """Return who a user of the gateway is on the server; None: not allowed.

    ``wanted`` is the name that was asked for. A user who asks for no name but the own one, or for none, and may not have that,
    gets that of the first rule which holds the user. Without a policy everybody is who they ask to be.
    """
    if policy is None:
        return wanted or gateway or None
    holding = [rule for rule in policy.rules if _holds(rule, gateway, groups)]
    if wanted and any(rule.server_username == wanted for rule in holding):
        return wanted
    if wanted in {"", gateway} and holding:
        return holding[0].server_username
    name = wanted or gateway
    is_mapped = any(rule.server_username == name for rule in policy.rules)
    return name if name and policy.allow_unmapped and not is_mapped else None


def _holds(rule: Mapping, gateway: str, groups: Collection[str]) -> bool:
    if not rule.gateway_groups and not rule.gateway_users:
        return True
    return bool(gateway) and (gateway in rule.gateway_users or any(group in groups for group in rule.gateway_groups))


def credential(store: CredentialStore, names: Iterable[str], address: str, username: str) -> Credential | None:
    """Return the first line of a store for a user of a server, known by names and an address."""
    where, known = one_address(address), tuple(names)
    for line in store.credentials:
        if line.username == username and _is_for(line.host, known, where):
            return line
    return None


def _is_for(host: str, names: tuple[str, ...], address: Ip) -> bool:
    if "/" in host:
        return address in _network(host)
    return any(in_domain(name, host) for name in names)
