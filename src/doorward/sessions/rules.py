"""What a session has to obey: plain values, compiled from the configuration when a client connects, sent to a worker as they are.

They hold no secret and no reference into the configuration. A session keeps those it began with, also for its later channels.
Pure: a worker imports this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class ChannelType(StrEnum):
    """The types of channels that rules name (Administration Guide, *Supported SSH channel types*)."""

    SHELL = "session-shell"
    EXEC = "session-exec"
    SCP = "session-exec-scp"
    SFTP = "session-subsystem-sftp"
    SUBSYSTEM = "session-subsystem"
    AGENT = "auth-agent"
    X11 = "x11"
    LOCAL_FORWARD = "local-forwards"
    REMOTE_FORWARD = "remote-forwards"


class RuleValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that goes over the pipe."""


class End(RuleValue, frozen=True, kw_only=True):
    """One end of a forward. ``selection``: ``address`` (a network), ``domain`` (a name or ``*.`` and a name), ``path``."""

    selection: str
    value: str


class Forward(RuleValue, frozen=True, kw_only=True):
    """Which forward a rule allows; None allows any value.

    ``host`` is what a local forward connects to, or where a remote one listens; ``originator`` is where it comes from.
    """

    host: End | None = None
    port: int | None = None
    originator: End | None = None


class Hours(RuleValue, frozen=True, kw_only=True):
    """When a rule holds: for each day from Monday the spans in minutes since midnight, the last minute included.

    ``zone``: the name of the time zone they are in, that of the node when the session began. What a worker would take for local
    time is that of its machine, and as it was when the worker started.
    """

    days: tuple[tuple[tuple[int, int], ...], ...]
    zone: str


class ChannelRule(RuleValue, frozen=True, kw_only=True):
    """One line of a channel policy. An empty member restricts nothing. The first line that matches in every member decides."""

    channel: ChannelType
    position: int
    """Where it stands in the policy, from 0; recorded with the channel."""
    clients: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    gateway_groups: tuple[str, ...] = ()
    remote_groups: tuple[str, ...] = ()
    hours: Hours | None = None
    execs: tuple[str, ...] = ()
    subsystems: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    forwards: tuple[Forward, ...] = ()
    audit: bool = True
    keep_files: bool = False
    four_eyes: bool = False


class AlgorithmLists(RuleValue, frozen=True, kw_only=True):
    """Names of algorithms by order of preference (RFC 4253, section 7.1)."""

    kex: tuple[str, ...]
    host_key: tuple[str, ...]
    cipher: tuple[str, ...]
    mac: tuple[str, ...]
    compression: tuple[str, ...]


class SessionSettings(RuleValue, frozen=True, kw_only=True):
    """A settings policy. Times in seconds, None: none."""

    client: AlgorithmLists
    server: AlgorithmLists
    greeting: str = ""
    idle_timeout: int | None = None
    session_timeout: int | None = None
    keepalive_interval: int = 60
    keepalive_count: int = 3
    rekey_bytes: int = 1 << 30
    rekey_seconds: int = 3600
    strict_mode: bool = True
    login_seconds: int = 120
    login_tries: int = 6
    channels: int = 100
    """How many channels may be open at once."""


class GatewayMethods(RuleValue, frozen=True, kw_only=True):
    """How users may log in at the gateway.

    ``require``: each a row of methods that together suffice (as AuthenticationMethods of sshd); empty: any one that is allowed.
    """

    password: bool = False
    keyboard_interactive: bool = False
    public_key: bool = False
    certificate: bool = False
    require: tuple[tuple[str, ...], ...] = ()


class Relayed(StrEnum):
    """How the gateway logs in at the target."""

    SAME_PASSWORD = "same_password"  # noqa: S105 - the name of a method
    KEYBOARD_INTERACTIVE = "keyboard_interactive"
    AGENT = "agent"
    PRIVATE_KEY = "private_key"
    CERTIFICATE = "certificate"
    CREDENTIAL_STORE = "credential_store"
    PASSWORD_PROMPT = "password_prompt"  # noqa: S105 - the name of a method


class Audit(RuleValue, frozen=True, kw_only=True):
    """How a session is recorded. Certificates in PEM; none: the trail is in clear.

    ``interval``: seconds between two seals. ``go_on``: a session may go on when its recording fails.
    ``text``: how much is taken for the index: ``none``, ``metadata``, ``commands`` or ``screen``.
    """

    policy: str
    screen_certificates: tuple[str, ...] = ()
    keystroke_certificates: tuple[str, ...] = ()
    signed: bool = False
    timestamped: bool = False
    interval: int = 30
    go_on: bool = False
    live_view: bool = True
    """Whether what is on the screen may be followed live."""
    text: str = "screen"


TEXT_KINDS: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "metadata": frozenset({"file"}),
    "commands": frozenset({"file", "command"}),
    "screen": frozenset({"file", "command", "screen", "title"}),
}
"""Which kinds of lines each level of `Audit.text` takes."""


class ConnectionRules(RuleValue, frozen=True, kw_only=True):
    """All that a worker has to know of a connection policy."""

    policy: str
    """Name of the connection policy."""
    policy_key: str
    channel_policy: str
    revision: int
    """The revision of the configuration that these rules are from."""
    channels: tuple[ChannelRule, ...]
    settings: SessionSettings
    methods: GatewayMethods
    gateway_login: bool
    """False: backend ``none``; nobody logs in here, what the client shows is relayed."""
    relayed: tuple[Relayed, ...]
    audit: Audit
    inband: bool
    """Whether the target stands in the user name."""
    ask_target: bool = True
    """Whether a user who names no target is asked for one."""
