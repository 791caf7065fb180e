"""What a worker says to control."""

from __future__ import annotations

from typing import Any

from doorward.proxy.messages.message import PipeMessage
from doorward.sessions.rules import Relayed


class Hello(PipeMessage, frozen=True, kw_only=True, tag="hello"):
    """First message of a worker: who it is, and which sessions it has."""

    worker: str
    pid: int
    sessions: tuple[str, ...] = ()


class Identified(PipeMessage, frozen=True, kw_only=True, tag="identified"):
    """The first key exchange with the client is done. ``identifier``: the session identifier that its signatures are over."""

    session: str
    identifier: bytes
    client_version: str
    algorithms: dict[str, str] = {}


class TryPassword(PipeMessage, frozen=True, kw_only=True, tag="try_password"):
    """The client sent a password. ``user`` as it typed it, target and all."""

    session: str
    ask: int
    user: str
    password: str


class TryKey(PipeMessage, frozen=True, kw_only=True, tag="try_key"):
    """The client showed a public key or certificate; without ``signature`` it asks whether the key would do."""

    session: str
    ask: int
    user: str
    algorithm: str
    key: bytes
    service: str = "ssh-connection"
    signature: bytes | None = None


class TryPrompts(PipeMessage, frozen=True, kw_only=True, tag="try_prompts"):
    """The client wants keyboard-interactive, or answers the last prompts."""

    session: str
    ask: int
    user: str
    answers: tuple[str, ...] | None = None


class TryNone(PipeMessage, frozen=True, kw_only=True, tag="try_none"):
    """The client asks which methods there are."""

    session: str
    ask: int
    user: str


class FindTarget(PipeMessage, frozen=True, kw_only=True, tag="find_target"):
    """The client is in: where does it go? ``text``: what it answered to the question for a server; empty: never asked.

    With backend ``none`` this comes once the client has shown what can be relayed; ``method`` says which way it was.
    """

    session: str
    ask: int
    user: str
    method: str
    text: str = ""


class JudgeHostKey(PipeMessage, frozen=True, kw_only=True, tag="judge_host_key"):
    """The target shows a host key that is none of the trusted ones. ``key``: OpenSSH public key."""

    session: str
    ask: int
    address: str
    port: int
    key: str


class WantCredential(PipeMessage, frozen=True, kw_only=True, tag="want_credential"):
    """What is offered next is to be tried."""

    session: str
    ask: int
    way: Relayed


class WantSignature(PipeMessage, frozen=True, kw_only=True, tag="want_signature"):
    """Sign ``data`` (RFC 4252, section 7) with the key of ``public_key``, which control offered."""

    session: str
    ask: int
    public_key: str
    algorithm: str
    data: bytes


class WantApproval(PipeMessage, frozen=True, kw_only=True, tag="want_approval"):
    """A channel is to be opened whose rule needs a second person."""

    session: str
    ask: int
    channel: int
    type: str
    detail: str


class Connected(PipeMessage, frozen=True, kw_only=True, tag="connected"):
    """The session is through: logged in at the target."""

    session: str
    address: str
    port: int
    local: tuple[str, int]
    user: str
    method: str
    server_version: str
    host_key: str
    serial: int = 0


class ChannelOpened(PipeMessage, frozen=True, kw_only=True, tag="channel_opened"):
    """A channel was asked for and is decided. ``number`` counts the channels of the session from 1; ``at`` in ms since ``began``.

    ``facts``: what the rows of channels show: ``command``, ``subsystem_name``, ``scp_path``, the ends of a forward.
    """

    session: str
    number: int
    at: int
    type: str
    verdict: str
    rule: int | None
    facts: dict[str, Any] = {}
    serial: int = 0


class ChannelClosed(PipeMessage, frozen=True, kw_only=True, tag="channel_closed"):
    """A channel is over. Bytes: from the server, from the client."""

    session: str
    number: int
    at: int
    down: int
    up: int
    facts: dict[str, Any] = {}
    serial: int = 0


class Happened(PipeMessage, frozen=True, kw_only=True, tag="happened"):
    """Something to tell of, by the name of its event, such as ``channel_denied`` or ``recording_failed``."""

    session: str
    at: int
    event: str
    facts: dict[str, Any] = {}
    serial: int = 0


class Text(PipeMessage, frozen=True, kw_only=True, tag="text"):
    """Text for the index. Lines: time in ms, kind (``command``, ``screen``, ``file``, ``title``), the line."""

    session: str
    channel: int
    lines: tuple[tuple[int, str, str], ...]
    serial: int = 0


class Shown(PipeMessage, frozen=True, kw_only=True, tag="shown"):
    """What a viewer sees: asciicast codes (``o``, ``r``, ``m``, ``x``) with ms since ``began``. ``end``: nothing more comes."""

    session: str
    viewer: int
    channel: int
    at: int
    code: str
    data: bytes
    end: bool = False


class WantSeal(PipeMessage, frozen=True, kw_only=True, tag="want_seal"):
    """The trail is due to be signed: everything up to a frame, ``chain`` being the value after it."""

    session: str
    frame: int
    chain: bytes
    last: bool = False


class Counts(PipeMessage, frozen=True, kw_only=True, tag="counts"):
    """How sessions are doing, every few seconds: session → channels open, bytes down, bytes up, ms of the last activity."""

    sessions: dict[str, tuple[int, int, int, int]]
    memory: int
    """Bytes that the worker occupies."""
    lag: int
    """Milliseconds by which recording is behind."""


class Ended(PipeMessage, frozen=True, kw_only=True, tag="ended"):
    """A session is over and its trail closed. ``at`` in ms since ``began``: the last moment in the trail."""

    session: str
    at: int
    verdict: str
    reason: str
    down: int
    up: int
    trail_bytes: int
    recorded: bool
    serial: int = 0


ToControl = (
    Hello | Identified | TryPassword | TryKey | TryPrompts | TryNone | FindTarget | JudgeHostKey | WantCredential | WantSignature
    | WantApproval | Connected | ChannelOpened | ChannelClosed | Happened | Text | Shown | WantSeal | Counts | Ended
)  # fmt: skip
