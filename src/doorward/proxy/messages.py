"""What control and a worker say to each other. Closed: what is not here can't be said, what does not fit is the end of the pipe.

A message is ``u32 length | MessagePack``; see `pipe`. ``session`` is the key of a session: 22 characters. A worker asks with a
number of its own (``ask``), which comes back in the answer; nothing else is matched up. No answer of control makes anything true
that control has not looked up itself: a worker only hands on what the client said.

What has to arrive carries a ``serial``, which counts them in each session from 1. A worker keeps those and sends them again after
a reconnect, until control has answered `Noted`; control passes over what it has had.
"""

from __future__ import annotations

from typing import Any

import msgspec

from doorward.sessions.rules import ConnectionRules, Relayed

MAX_MESSAGE = 262_144
"""Bytes of one message. Content of followed sessions is cut into pieces below it."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is"):
    """A message of either side. Shown without its content, which may be secret."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self, 'session', '')})"


# --- control to worker ---


class HostKey(msgspec.Struct, frozen=True, kw_only=True):
    """A host key that the gateway shows to clients: an OpenSSH private key, without passphrase."""

    private: bytes

    def __repr__(self) -> str:
        return "HostKey()"


class Settle(Message, frozen=True, kw_only=True, tag="settle"):
    """First message of control: under which name of the node to record.

    ``trails``: the directory of the trails, which has to be the one that the workers were started with.
    """

    trails: str
    node: str
    release: str


class Begin(Message, frozen=True, kw_only=True, tag="begin"):
    """A client connected; its socket comes with the message. ``began``: seconds since 1970."""

    session: str
    number: int
    """Counts per policy: the end of ``svc/<session>/<policy>:<number>``."""
    began: float
    client: tuple[str, int]
    local: tuple[str, int]
    rules: ConnectionRules
    host_keys: tuple[HostKey, ...]


class Refuse(Message, frozen=True, kw_only=True, tag="refuse"):
    """A client connected that may not come in; it is told why in SSH's words, and its socket closed."""

    reason: str
    """For the client, without what would help an attacker."""


class Decision(Message, frozen=True, kw_only=True, tag="decision"):
    """Answer to a login. ``outcome``: ``accepted``, ``partial`` (go on with ``methods``), ``refused``, ``end`` (no more tries).

    ``pause``: seconds to wait before the client is answered. ``user`` and ``groups``: who it is, once accepted.
    """

    session: str
    ask: int
    outcome: str
    methods: tuple[str, ...] = ()
    user: str = ""
    groups: tuple[str, ...] = ()
    pause: float = 0.0
    message: str = ""


class Prompts(Message, frozen=True, kw_only=True, tag="prompts"):
    """Answer to a login by keyboard-interactive: what to ask the client. Each prompt with whether the answer may be shown."""

    session: str
    ask: int
    name: str = ""
    instruction: str = ""
    prompts: tuple[tuple[str, bool], ...] = ()


class Target(Message, frozen=True, kw_only=True, tag="target"):
    """Where to connect to, and how to log in there; the row of the session is durable and shows it.

    ``error``: there is no target, in words for the client. ``question``: the user named none and may be asked; this is what
    the client is asked, and the answer comes as ``text`` of the next `FindTarget`. ``addresses`` are tried in order. ``keys``: trusted host keys, as
    OpenSSH public keys; ``authorities``: trusted host authorities; ``learn``: an unknown key may be accepted and is then asked
    about; ``check``: False accepts any. ``offers``: the ways to log in, of those that apply, in order.
    """

    session: str
    ask: int
    error: str = ""
    question: str = ""
    name: str = ""
    addresses: tuple[str, ...] = ()
    port: int = 22
    source: str | None = None
    user: str = ""
    groups: tuple[str, ...] = ()
    """Groups of the user on the server's side."""
    keys: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    learn: bool = False
    check: bool = True
    offers: tuple[Relayed, ...] = ()


class Trusted(Message, frozen=True, kw_only=True, tag="trusted"):
    """Answer to a host key."""

    session: str
    ask: int
    trusted: bool
    reason: str = ""


class Credential(Message, frozen=True, kw_only=True, tag="credential"):
    """Answer to the wish for a credential: a password, or public keys (OpenSSH, certificates too) that control signs for."""

    session: str
    ask: int
    password: str | None = None
    public_keys: tuple[str, ...] = ()


class Signature(Message, frozen=True, kw_only=True, tag="signature"):
    """Answer to the wish for a signature (RFC 4253, section 6.6, the whole blob); empty: refused."""

    session: str
    ask: int
    signature: bytes = b""


class Approval(Message, frozen=True, kw_only=True, tag="approval"):
    """Answer to a channel that needs a second person."""

    session: str
    ask: int
    approved: bool
    reason: str = ""


class Sealed(Message, frozen=True, kw_only=True, tag="sealed"):
    """A seal for the trail: the note as `recording.seals` makes it."""

    session: str
    note: dict[str, Any]


class Terminate(Message, frozen=True, kw_only=True, tag="terminate"):
    """End a session; the user is told why."""

    session: str
    reason: str
    verdict: str = "TERMINATED"


class Lock(Message, frozen=True, kw_only=True, tag="lock"):
    """Hold what the client sends, or let it go on."""

    session: str
    locked: bool


class Follow(Message, frozen=True, kw_only=True, tag="follow"):
    """Somebody watches from now on. What the screen shows now comes first, as a drawing."""

    session: str
    viewer: int
    who: str
    channel: int | None = None


class Unfollow(Message, frozen=True, kw_only=True, tag="unfollow"):
    """Somebody watches no longer."""

    session: str
    viewer: int


class Noted(Message, frozen=True, kw_only=True, tag="noted"):
    """All of a session up to ``serial`` is durable in the catalogue: its worker need not keep that any longer."""

    session: str
    serial: int


class Stop(Message, frozen=True, kw_only=True, tag="stop"):
    """Take no more sessions; exit when the last is over, or at once."""

    now: bool = False


# --- worker to control ---


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """First message of a worker: who it is, and which sessions it has."""

    worker: str
    pid: int
    sessions: tuple[str, ...] = ()


class Identified(Message, frozen=True, kw_only=True, tag="identified"):
    """The first key exchange with the client is done. ``identifier``: the session identifier that its signatures are over."""

    session: str
    identifier: bytes
    client_version: str
    algorithms: dict[str, str] = {}


class TryPassword(Message, frozen=True, kw_only=True, tag="try_password"):
    """The client sent a password. ``user`` as it typed it, target and all."""

    session: str
    ask: int
    user: str
    password: str


class TryKey(Message, frozen=True, kw_only=True, tag="try_key"):
    """The client showed a public key or certificate; without ``signature`` it asks whether the key would do."""

    session: str
    ask: int
    user: str
    algorithm: str
    key: bytes
    service: str = "ssh-connection"
    signature: bytes | None = None


class TryPrompts(Message, frozen=True, kw_only=True, tag="try_prompts"):
    """The client wants keyboard-interactive, or answers the last prompts."""

    session: str
    ask: int
    user: str
    answers: tuple[str, ...] | None = None


class TryNone(Message, frozen=True, kw_only=True, tag="try_none"):
    """The client asks which methods there are."""

    session: str
    ask: int
    user: str


class FindTarget(Message, frozen=True, kw_only=True, tag="find_target"):
    """The client is in: where does it go? ``text``: what it answered to the question for a server; empty: never asked.

    With backend ``none`` this comes once the client has shown what can be relayed; ``method`` says which way it was.
    """

    session: str
    ask: int
    user: str
    method: str
    text: str = ""


class JudgeHostKey(Message, frozen=True, kw_only=True, tag="judge_host_key"):
    """The target shows a host key that is none of the trusted ones. ``key``: OpenSSH public key."""

    session: str
    ask: int
    address: str
    port: int
    key: str


class WantCredential(Message, frozen=True, kw_only=True, tag="want_credential"):
    """What is offered next is to be tried."""

    session: str
    ask: int
    way: Relayed


class WantSignature(Message, frozen=True, kw_only=True, tag="want_signature"):
    """Sign ``data`` (RFC 4252, section 7) with the key of ``public_key``, which control offered."""

    session: str
    ask: int
    public_key: str
    algorithm: str
    data: bytes


class WantApproval(Message, frozen=True, kw_only=True, tag="want_approval"):
    """A channel is to be opened whose rule needs a second person."""

    session: str
    ask: int
    channel: int
    type: str
    detail: str


class Connected(Message, frozen=True, kw_only=True, tag="connected"):
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


class ChannelOpened(Message, frozen=True, kw_only=True, tag="channel_opened"):
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


class ChannelClosed(Message, frozen=True, kw_only=True, tag="channel_closed"):
    """A channel is over. Bytes: from the server, from the client."""

    session: str
    number: int
    at: int
    down: int
    up: int
    facts: dict[str, Any] = {}
    serial: int = 0


class Happened(Message, frozen=True, kw_only=True, tag="happened"):
    """Something to tell of, by the name of its event, such as ``channel_denied`` or ``recording_failed``."""

    session: str
    at: int
    event: str
    facts: dict[str, Any] = {}
    serial: int = 0


class Text(Message, frozen=True, kw_only=True, tag="text"):
    """Text for the index. Lines: time in ms, kind (``command``, ``screen``, ``file``, ``title``), the line."""

    session: str
    channel: int
    lines: tuple[tuple[int, str, str], ...]
    serial: int = 0


class Shown(Message, frozen=True, kw_only=True, tag="shown"):
    """What a viewer sees: asciicast codes (``o``, ``r``, ``m``, ``x``) with ms since ``began``. ``end``: nothing more comes."""

    session: str
    viewer: int
    channel: int
    at: int
    code: str
    data: bytes
    end: bool = False


class WantSeal(Message, frozen=True, kw_only=True, tag="want_seal"):
    """The trail is due to be signed: everything up to a frame, ``chain`` being the value after it."""

    session: str
    frame: int
    chain: bytes
    last: bool = False


class Counts(Message, frozen=True, kw_only=True, tag="counts"):
    """How sessions are doing, every few seconds: session → channels open, bytes down, bytes up, ms of the last activity."""

    sessions: dict[str, tuple[int, int, int, int]]
    memory: int
    """Bytes that the worker occupies."""
    lag: int
    """Milliseconds by which recording is behind."""


class Ended(Message, frozen=True, kw_only=True, tag="ended"):
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


ToWorker = (
    Settle | Begin | Refuse | Decision | Prompts | Target | Trusted | Credential | Signature | Approval | Sealed | Terminate
    | Lock | Follow | Unfollow | Noted | Stop
)  # fmt: skip
ToControl = (
    Hello | Identified | TryPassword | TryKey | TryPrompts | TryNone | FindTarget | JudgeHostKey | WantCredential | WantSignature
    | WantApproval | Connected | ChannelOpened | ChannelClosed | Happened | Text | Shown | WantSeal | Counts | Ended
)  # fmt: skip
