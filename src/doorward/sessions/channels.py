"""Which rule of a channel policy decides about a channel. Pure; a worker imports this module.

Rules are tried in order; the first that matches in every member decides, and where none does the channel is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct

from doorward.sessions.rules import ChannelRule, ChannelType, End, Forward, Hours
from doorward.tree.expressions import is_whole_match
from doorward.tree.times import zone_named


class Circumstances(Struct, frozen=True):
    """What is so for the whole session. ``server_name`` is the target as it was named, its address for others."""

    client: str
    server: str
    server_name: str
    gateway_groups: tuple[str, ...] = ()
    remote_groups: tuple[str, ...] = ()


class Asked(Struct, frozen=True):
    """What a channel is wanted for. ``host`` and ``port``: where a forward goes, or listens; ``path`` for Unix sockets.

    ``is_listening``: a remote forward is only asked for, so nobody knows yet who will connect; ``originator`` is not looked at.
    """

    channel: ChannelType
    command: str = ""
    subsystem: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    originator: str = ""
    is_listening: bool = False


_HOST = re.compile(r"[A-Za-z0-9._-]+")


@lru_cache(maxsize=4096)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)


def _is_inside(address: str, networks: Iterable[str]) -> bool:
    """Whether an address lies in one of some networks; what is no address lies in none.

    A zone belongs to link-local addresses only: ``10.0.0.1%.example.com`` is a name that somebody else's name server answers.
    """
    plain, _, zone = address.partition("%")
    try:
        parsed = ip_address(plain)
    except ValueError:
        return False
    if zone and not (isinstance(parsed, IPv6Address) and parsed.is_link_local):
        return False
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(mapped in _network(network) for network in networks)


def _is_named(name: str, pattern: str) -> bool:
    """Whether a host name is the one that is meant, or lies below it where the pattern begins with ``*.``.

    What has other characters than host names have is none: servers read it up to a NUL or a blank, and would go elsewhere.
    """
    if _HOST.fullmatch(name) is None:
        return False
    name, pattern = name.lower().rstrip("."), pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1
    return name == pattern


def _is_end(end: End | None, host: str, path: str) -> bool:
    if end is None:
        return True
    match end.selection:
        case "address":
            return not path and _is_inside(host, (end.value,))
        case "domain":
            return not path and _is_named(host, end.value)
        case "path":
            return bool(path) and path == end.value
        case _:
            return False


def _is_forward(forward: Forward, asked: Asked) -> bool:
    return (
        _is_end(forward.host, asked.host, asked.path)
        and (forward.port is None or (not asked.path and forward.port == asked.port))
        and (asked.is_listening or _is_end(forward.originator, asked.originator, ""))
    )


def _is_open(hours: Hours, now: datetime) -> bool:
    local = now.astimezone(zone_named(hours.zone))
    minute = local.hour * 60 + local.minute
    return any(first <= minute <= last for first, last in hours.days[local.weekday()])


def _is_server(rule: ChannelRule, around: Circumstances) -> bool:
    for server in rule.servers:
        try:
            if _is_inside(around.server, (server,)):
                return True
        except ValueError:
            if _is_named(around.server_name, server):
                return True
    return not rule.servers


def matches(rule: ChannelRule, asked: Asked, around: Circumstances, now: datetime) -> bool:
    """Whether a rule matches in every member. ``now`` has a time zone, any."""
    return (
        rule.channel == asked.channel
        and (not rule.clients or _is_inside(around.client, rule.clients))
        and _is_server(rule, around)
        and (not rule.gateway_groups or not set(rule.gateway_groups).isdisjoint(around.gateway_groups))
        and (not rule.remote_groups or not set(rule.remote_groups).isdisjoint(around.remote_groups))
        and (rule.hours is None or _is_open(rule.hours, now))
        and _suits(rule, asked)
    )


def _suits(rule: ChannelRule, asked: Asked) -> bool:
    """Whether the members that only one type of channel has match."""
    match asked.channel:
        case ChannelType.EXEC:
            return not rule.execs or any(is_whole_match(pattern, asked.command) for pattern in rule.execs)
        case ChannelType.SUBSYSTEM:
            return not rule.subsystems or asked.subsystem in rule.subsystems
        case ChannelType.X11:
            return not rule.networks or asked.is_listening or _is_inside(asked.originator, rule.networks)
        case ChannelType.LOCAL_FORWARD | ChannelType.REMOTE_FORWARD:
            return not rule.forwards or any(_is_forward(forward, asked) for forward in rule.forwards)
        case _:
            return True


def decide(rules: Sequence[ChannelRule], asked: Asked, around: Circumstances, now: datetime) -> ChannelRule | None:
    """The rule that allows a channel, or None: it is refused."""
    return next((rule for rule in rules if matches(rule, asked, around, now)), None)


# The old scp runs ``scp -t PATH`` or ``scp -f PATH`` on the server, by a shell, with further options in front. It counts as scp
# only if a shell can make nothing else of it: what is not within single quotes has nothing that a shell acts on but wildcards.
# Where it lies counts as well: a user who may copy files could have put another program of that name anywhere else.
_SCP = re.compile(r"(?:/(?:usr/(?:local/)?)?bin/)?scp(?P<options>(?: +-[A-Za-z0-9]+)+)(?: +--)? +(?P<path>.+)")
_QUOTED = re.compile(r"'[^']*'")
_ACTIVE = re.compile(r"[;&|<>()`$\n\r\0#!{}\"']")
_ESCAPED = re.compile(r"\\(?! )")


def scp_path(command: str) -> str | None:
    """The path of a command that is scp's server side and nothing else, or None."""
    found = _SCP.fullmatch(command)
    if found is None or _ESCAPED.search(command) is not None or _ACTIVE.search(_QUOTED.sub("", command)) is not None:
        return None
    options = found["options"].split()
    if not any(option in {"-t", "-f"} or option[1:].strip("rpdvqE") in {"t", "f"} for option in options):
        return None
    path = found["path"]
    # A second word would be another file, or another option.
    words = _QUOTED.sub("q", path.replace("\\ ", "_")).split()
    return path if len(words) == 1 and not (words[0].startswith("-") and " -- " not in command) else None


def classify_command(command: str) -> ChannelType:
    """Whether a command is the old scp or any other."""
    return ChannelType.EXEC if scp_path(command) is None else ChannelType.SCP


def classify_subsystem(name: str) -> ChannelType:
    """Whether a subsystem is sftp or any other."""
    return ChannelType.SFTP if name == "sftp" else ChannelType.SUBSYSTEM
