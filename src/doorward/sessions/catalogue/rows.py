"""What the catalogue holds of a session and its channels: plain values. Times are ms, since 1970 unless said otherwise."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from doorward.tree.jsontext import prepared

ACCEPT, AUTH_FAIL, FAIL, TERMINATED = "ACCEPT", "AUTH_FAIL", "FAIL", "TERMINATED"
"""The verdicts of sessions."""

INDEXED, NOT_INDEXED, INDEXING = "INDEXED", "NOT_INDEXED", "INDEXING"
"""How far the text of a session is in the index."""


@prepared
class Peer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One end of a connection. ``name``: what it is called, where that is known; "" is nothing known."""

    ip: str = ""
    port: int = 0
    name: str = ""


@prepared
class TrailArchive(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the trail of a session is, besides here. Written before anything is sent, so that a trail has one place for ever."""

    policy_key: str
    policy: str
    target: str
    """The bucket, such as ``s3://s3.example.com/recordings``; "": none, the trail was only deleted."""
    path: str
    """The key of the object."""
    size: int
    sha256: str
    at: int | None = None
    """When it was proven there, ms since 1970; None: it is on its way."""
    tag: str = ""
    """What the server showed of it then (ETag)."""
    is_here: bool = True
    """Whether there is, or was left, a copy on the node."""


@prepared
class SessionRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session as it is known when it begins; `Facts` adds to it, `SessionEnd` closes it."""

    key: str
    """22 letters and digits, the first a letter."""
    number: int
    """Counts per connection policy; see `Catalogue.number`."""
    began: int
    node: str
    """Id of the node that records."""
    policy: str
    """Name of the connection policy."""
    policy_key: str
    channel_policy: str
    client: Peer
    target: Peer
    """Where the client connected to: an address of the gateway."""
    protocol: str = "SSH"
    revision: int = 0
    """Of the configuration."""
    trail: str = ""
    """Path of the trail below the directory of trails; "": nothing is recorded."""
    recipients: tuple[str, ...] = ()
    """SHA-256 fingerprints of the certificates that open the trail; (): it is in clear. The text of others is not kept."""
    gateway_user: str = ""
    gateway_groups: tuple[str, ...] = ()
    server_user: str = ""
    server: Peer = Peer()
    server_local: Peer = Peer()
    auth_method: str = ""
    """How the user logged in, such as ``password``."""
    text: str = "screen"
    """What is taken for the index: ``none``, ``metadata``, ``commands``, ``screen``."""
    is_download_logged: bool = True
    """Whether the policy wants downloads of the trail recorded."""
    extra: dict[str, Any] = {}
    """What else is known: versions, algorithms, host key. Shown by ``doorward sessions show``, never searched."""
    # What the end and the index bring.
    ended: int | None = None
    verdict: str = ACCEPT
    reason: str = ""
    down: int = 0
    up: int = 0
    trail_bytes: int = 0
    has_accepted_channel: bool = False
    index_status: str = INDEXING
    is_archived: bool = False
    """Whether its trail is proven to be in the archive."""
    archive: TrailArchive | None = None

    @property
    def has_local_trail(self) -> bool:
        """Whether its trail is to be found on the node that recorded it."""
        return bool(self.trail) and (self.archive is None or self.archive.is_here)

    @property
    def session_id(self) -> str:
        """The id in the form of logs: ``svc/<key>/<policy>:<number>``."""
        return f"svc/{self.key}/{self.policy}:{self.number}"

    @property
    def user(self) -> str:
        """Who it is: the gateway user, else the user on the server."""
        return self.gateway_user or self.server_user


@prepared
class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What became known of a session since; what is UNSET stays."""

    gateway_user: str | UnsetType = UNSET
    gateway_groups: tuple[str, ...] | UnsetType = UNSET
    server_user: str | UnsetType = UNSET
    server: Peer | UnsetType = UNSET
    server_local: Peer | UnsetType = UNSET
    auth_method: str | UnsetType = UNSET
    trail: str | UnsetType = UNSET
    recipients: tuple[str, ...] | UnsetType = UNSET
    down: int | UnsetType = UNSET
    up: int | UnsetType = UNSET
    extra: dict[str, Any] | UnsetType = UNSET
    """Added to what is there, member by member."""
    is_archived: bool | UnsetType = UNSET
    archive: TrailArchive | UnsetType = UNSET


@prepared
class ChannelRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A channel. ``number`` counts the channels of the session from 1, ``opened`` and ``closed`` are ms since it began.

    ``type`` as in `ChannelType`; ``facts``: ``command``, ``scp_path``, ``subsystem_name``, the ends of a forward.
    """

    number: int
    opened: int
    type: str
    verdict: str
    """``accept`` or ``deny``."""
    rule: int | None = None
    closed: int | None = None
    down: int = 0
    up: int = 0
    facts: dict[str, Any] = {}


@prepared
class SessionEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a session ended. ``at``: ms since it began, the last moment in the trail."""

    at: int
    verdict: str
    reason: str
    down: int = 0
    up: int = 0
    trail_bytes: int = 0
    is_recorded: bool = True
    """False: there is no trail, or none that can be read."""


@prepared
class IndexLine(msgspec.Struct, frozen=True, array_like=True):
    """A line for the index. ``at``: ms since the session began; ``kind``: ``command``, ``screen``, ``file`` or ``title``."""

    at: int
    kind: str
    text: str


@prepared
class EventRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened in a session. ``at``: ms since it began; ``type`` such as ``command`` or ``channel_denied``."""

    at: int
    type: str
    channel: int = 0
    action: str = ""
    content: str = ""


@prepared
class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """A match of a content policy. ``at``: ms since the session began."""

    at: int
    type: str
    channel: int
    rule: str
    regexp: str
    action: str
    content: str


@prepared
class DownloadRow(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody had the content of a session. ``what``: ``audit_trail``, ``replay``, ``file``, ``follow``."""

    at: int
    user: str
    address: str
    what: str
    is_api: bool = True
