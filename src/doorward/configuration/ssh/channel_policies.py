"""Which SSH channels are open to whom: ``/api/configuration/ssh/channel_policies``.

The rules of a policy are tried in order when a channel is asked for; the first that matches in every member decides how it is
recorded, and where none does the channel is refused as SSH refuses it, while the session goes on. An empty list restricts
nothing. ``session-exec`` covers commands that are neither ``scp -t`` or ``-f`` nor subsystems, ``session-subsystem-sftp`` also
the scp of OpenSSH 9. The built-in policies ``shell-only`` and ``all`` can't be changed. A commit takes effect on new sessions;
running ones keep the rules that they began with, for later channels too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from doorward.configuration import policies
from doorward.configuration._inert import only
from doorward.configuration.policies import time_policies
from doorward.configuration.ssh._coverage import covers
from doorward.tree.expressions import ExpressionError, check_expression
from doorward.tree.fields import Domain, Name, Network, Port, bad_format, same_network, text
from doorward.tree.models import Body, Elements, Variants
from doorward.tree.nodes import Collection
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.references import Reference, RefersTo
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/ssh/channel_policies"
SHELL_ONLY, ALL = "-210", "-211"
"""The keys of the built-in policies."""

CHANNELS = (
    "session-shell", "session-exec", "session-exec-scp", "session-subsystem-sftp", "session-subsystem", "auth-agent", "x11",
    "local-forwards", "remote-forwards",
)  # fmt: skip
_MAX_RULES = 256


def _pattern(value: str) -> str:
    try:
        check_expression(value)
    except ExpressionError as error:
        raise bad_format(f"Must be a regular expression of RE2: {error}.") from None
    return value


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise bad_format("Must be an absolute path.")
    return value


_Short = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(text)]
Group = _Short
Networks = Annotated[list[Network], Elements(most=64, unique=same_network)]
Groups = Annotated[list[Group], Elements(most=64, unique=str)]


class Address(Body):
    """A network."""

    selection: Literal["address"] = Field(description="The value is a network or an address.")
    value: Network = Field(description="Network or address.", examples=["10.0.0.0/8"])


class DomainName(Body):
    """A name."""

    selection: Literal["domain"] = Field(description="The value is a name as the client sends it.")
    value: Domain = Field(description="Host name, or *. and a name for all names below it.", examples=["*.example.com"])


class SocketPath(Body):
    """A socket of Unix."""

    selection: Literal["path"] = Field(description="The value is the path of a socket.")
    value: Annotated[str, StringConstraints(max_length=1024), AfterValidator(text), AfterValidator(_path)] = Field(
        description="Absolute path.", examples=["/run/docker.sock"]
    )


Origin = Annotated[Address | DomainName, Variants("selection")]
End = Annotated[Address | DomainName | SocketPath, Variants("selection")]


class LocalForward(Body):
    """Connections of the client onwards from the server."""

    host_address: End | None = Field(None, description="Where they go, or a socket there; null: anywhere.")
    host_port: Port | None = Field(None, description="Port there; null: any.")
    originator_address: Origin | None = Field(None, description="Where the client says they come from; null: anywhere.")


class RemoteForward(Body):
    """Connections of others to the server, handed to the client."""

    connected_address: End | None = Field(None, description="Where the server listens for them, or its socket; null: anywhere.")
    connected_port: Port | None = Field(None, description="Port there; null: any.")
    originator_address: Origin | None = Field(None, description="Where they come from; null: anywhere.")


class AllowedNetwork(Body):
    """A network of X clients."""

    selection: Literal["address"] = Field(description="The value is a network or an address.")
    value: Network = Field(description="Network or address.", examples=["192.168.1.1/32"])


_NO_CONTENT = only(None, "Content policies come with a later release.")
_NO_APPROVAL = only(False, "Sessions that a second person has to let in come with a later release.")  # noqa: FBT003 - the only value


class Actions(Body):
    """What happens with a channel that is opened."""

    audit: bool = Field(default=True, description="Whether its content is recorded; else who, when and what kind.")
    content_policy: Annotated[
        Annotated[Reference[Any], RefersTo(policies.NODE.children["content_policies"])] | None, _NO_CONTENT
    ] = Field(None, description="Null: content policies come with a later release.", json_schema_extra={"const": None})
    four_eyes: Annotated[bool, _NO_APPROVAL] = Field(
        default=False, description="False: a second person comes with a later release.", json_schema_extra={"const": False}
    )
    keep_files: bool = Field(
        default=False, description="Whether files that sftp and scp copy are kept in the recording; else names, sizes, SHA-256."
    )


ALWAYS = "-100"


class _Rule(Body):
    """What all rules have."""

    actions: Actions = Field(Actions(), description="What happens with the channel.")
    clients: Networks = Field(default_factory=list, description="Addresses of clients.")
    gateway_groups: Groups = Field(default_factory=list, description="Groups of the user at the gateway; one is enough.")
    remote_groups: Groups = Field(
        default_factory=list, description="Groups of the user on the server's side, by LDAP; one is enough."
    )
    servers: Networks = Field(default_factory=list, description="Addresses of servers.")
    time_policy: Annotated[Reference[time_policies.TimePolicy], RefersTo(time_policies.NODE)] = Field(
        default_factory=lambda: Reference(time_policies.PATH, ALWAYS, node=time_policies.NODE),
        description="When the rule matches, at the moment of opening; left out: always (7x24).",
    )


class Shell(_Rule):
    """A shell, with or without terminal."""

    channel: Literal["session-shell"] = Field(description="Shells.")


class Exec(_Rule):
    """A command."""

    channel: Literal["session-exec"] = Field(description="Commands.")
    execs: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_pattern)]],
        Elements(most=256, unique=str),
    ] = Field(
        default_factory=list,
        description="Regular expressions (RE2: no look-ahead, no references back), one of which the whole command has to match; "
        "commands above 16,384 characters match none.",
        examples=[["uptime"]],
    )


class Scp(_Rule):
    """The old protocol of scp."""

    channel: Literal["session-exec-scp"] = Field(description="scp -t and scp -f.")


class Sftp(_Rule):
    """File transfer."""

    channel: Literal["session-subsystem-sftp"] = Field(description="sftp, and scp of OpenSSH 9.")


class Subsystem(_Rule):
    """Another subsystem."""

    channel: Literal["session-subsystem"] = Field(description="Subsystems other than sftp.")
    subsystems: Annotated[list[_Short], Elements(most=64, unique=str)] = Field(
        default_factory=list, description="Their names.", examples=[["netconf"]]
    )


class Agent(_Rule):
    """The client's agent."""

    channel: Literal["auth-agent"] = Field(description="The agent of the client, which reaches the server only by such a rule.")


class X11(_Rule):
    """Graphical programs."""

    channel: Literal["x11"] = Field(description="Windows of programs on the server.")
    networks: Annotated[list[AllowedNetwork], Elements(most=64, unique=lambda one: same_network(one.value))] = Field(
        default_factory=list, description="Where the programs may connect from, as the server says."
    )


class LocalForwards(_Rule):
    """What OpenSSH does for -L, -D, -W and -J."""

    channel: Literal["local-forwards"] = Field(description="Connections of the client onwards from the server.")
    local_forwards: Annotated[list[LocalForward], Elements(most=256, unique=lambda one: one.model_dump_json())] = Field(
        default_factory=list, description="Which ones."
    )


class RemoteForwards(_Rule):
    """What OpenSSH does for -R."""

    channel: Literal["remote-forwards"] = Field(description="Connections of others to the server, handed to the client.")
    remote_forwards: Annotated[list[RemoteForward], Elements(most=256, unique=lambda one: one.model_dump_json())] = Field(
        default_factory=list, description="Which ones."
    )


Rule = Annotated[
    Shell | Exec | Scp | Sftp | Subsystem | Agent | X11 | LocalForwards | RemoteForwards,
    Variants("channel"),
]  # fmt: skip


class ChannelPolicy(Body):
    """A channel policy."""

    name: Name = Field(description="Name of the policy, unique.", examples=["admins"])
    rules: Annotated[list[Rule], Elements(most=_MAX_RULES)] = Field(description="Its rules, tried in order; none: no channel.")


def unreachable_rules(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of rules that never decide, since an earlier one matches whatever they match."""
    policy = snapshot.find(NODE, place.key)
    rules = policy.rules if policy is not None else []
    for index, rule in enumerate(rules):
        for before, earlier in enumerate(rules[:index]):
            if earlier.channel == rule.channel and covers(earlier, rule):
                yield Problem("shadowed", f"Never decides: rule {before} matches first.", f"/rules/{index}")
                break


def _built_in(name: str, *channels: str) -> dict[str, Any]:
    rules = []
    for channel in channels:
        rule: dict[str, Any] = {
            "actions": {"audit": True, "content_policy": None, "four_eyes": False, "keep_files": False},
            "channel": channel,
            "time_policy": ALWAYS,
        }
        own = _OWN_MEMBER.get(channel)
        rules.append(rule | {member: [] for member in (*_LISTS, *((own,) if own else ()))})
    return {"name": name, "rules": rules}


_LISTS = ("clients", "gateway_groups", "remote_groups", "servers")
_OWN_MEMBER = {
    "session-exec": "execs",
    "session-subsystem": "subsystems",
    "x11": "networks",
    "local-forwards": "local_forwards",
    "remote-forwards": "remote_forwards",
}

NODE: Collection[ChannelPolicy] = Collection(
    title="SSH channel policies",
    model=ChannelPolicy,
    default={SHELL_ONLY: _built_in("shell-only", "session-shell"), ALL: _built_in("all", *CHANNELS)},
    fixed=("name", "rules"),
    refers={"time_policy": time_policies.PATH},
    unique="name",
    advice=(unreachable_rules,),
)
