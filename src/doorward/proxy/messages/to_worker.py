"""What control says to a worker."""

from __future__ import annotations

from typing import Any

import msgspec

from doorward.proxy.messages.message import PipeMessage
from doorward.sessions.rules import ConnectionRules, Relayed


class GatewayHostKey(msgspec.Struct, frozen=True, kw_only=True):
    """A host key that the gateway shows to clients: an OpenSSH private key, without passphrase."""

    private: bytes

    def __repr__(self) -> str:
        return "HostKey()"


class Settle(PipeMessage, frozen=True, kw_only=True, tag="settle"):
    """First message of control: under which name of the node to record.

    ``trails``: the directory of the trails, which has to be the one that the workers were started with.
    """

    trails: str
    node: str
    release: str


class Begin(PipeMessage, frozen=True, kw_only=True, tag="begin"):
    """A client connected; its socket comes with the message. ``began``: seconds since 1970."""

    session: str
    number: int
    """Counts per policy: the end of ``svc/<session>/<policy>:<number>``."""
    began: float
    client: tuple[str, int]
    local: tuple[str, int]
    rules: ConnectionRules
    host_keys: tuple[GatewayHostKey, ...]


class Refuse(PipeMessage, frozen=True, kw_only=True, tag="refuse"):
    """A client connected that may not come in; it is told why in SSH's words, and its socket closed."""

    reason: str
    """For the client, without what would help an attacker."""


class Show(PipeMessage, frozen=True, kw_only=True, tag="show"):
    """Control itself connected, to see that a worker can use some host keys: keys are exchanged, and nothing else follows."""

    host_keys: tuple[GatewayHostKey, ...]


class Decision(PipeMessage, frozen=True, kw_only=True, tag="decision"):
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


class Prompts(PipeMessage, frozen=True, kw_only=True, tag="prompts"):
    """Answer to a login by keyboard-interactive: what to ask the client. Each prompt with whether the answer may be shown."""

    session: str
    ask: int
    name: str = ""
    instruction: str = ""
    prompts: tuple[tuple[str, bool], ...] = ()


class TargetAnswer(PipeMessage, frozen=True, kw_only=True, tag="target"):
    """Where to connect to, and how to log in there; the row of the session is durable and shows it.

    ``error``: there is no target, in words for the client. ``question``: the user named none and may be asked; this is what
    the client is asked, and the answer comes as ``text`` of the next `FindTarget`. ``addresses`` are tried in order. ``keys``:
    host keys that are trusted at any of them, as OpenSSH public keys; where there are several addresses, control knows which is
    whose. ``authorities``: trusted host authorities; a key that neither knows is asked about. ``check``: False accepts any.
    ``offers``: the ways to log in, of those that apply, in order.
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
    check: bool = True
    offers: tuple[Relayed, ...] = ()


class Trusted(PipeMessage, frozen=True, kw_only=True, tag="trusted"):
    """Answer to a host key."""

    session: str
    ask: int
    trusted: bool
    reason: str = ""


class CredentialAnswer(PipeMessage, frozen=True, kw_only=True, tag="credential"):
    """Answer to the question for a credential: a password, or public keys (OpenSSH, certificates too) that control signs for."""

    session: str
    ask: int
    password: str | None = None
    public_keys: tuple[str, ...] = ()


class Signature(PipeMessage, frozen=True, kw_only=True, tag="signature"):
    """Answer to the question for a signature (RFC 4253, section 6.6, the whole blob); empty: refused."""

    session: str
    ask: int
    signature: bytes = b""


class Approval(PipeMessage, frozen=True, kw_only=True, tag="approval"):
    """Answer to a channel that needs a second person."""

    session: str
    ask: int
    approved: bool
    reason: str = ""


class Sealed(PipeMessage, frozen=True, kw_only=True, tag="sealed"):
    """A seal for the trail: the note as `recording.seals` makes it."""

    session: str
    note: dict[str, Any]


class Terminate(PipeMessage, frozen=True, kw_only=True, tag="terminate"):
    """End a session; the user is told why."""

    session: str
    reason: str
    verdict: str = "TERMINATED"


class Lock(PipeMessage, frozen=True, kw_only=True, tag="lock"):
    """Hold what the client sends, or let it go on."""

    session: str
    locked: bool


class Follow(PipeMessage, frozen=True, kw_only=True, tag="follow"):
    """Somebody watches from now on. What the screen shows now comes first, as a drawing."""

    session: str
    viewer: int
    who: str
    channel: int | None = None


class Unfollow(PipeMessage, frozen=True, kw_only=True, tag="unfollow"):
    """Somebody watches no longer."""

    session: str
    viewer: int


class Noted(PipeMessage, frozen=True, kw_only=True, tag="noted"):
    """All of a session up to ``serial`` is durable in the catalogue: its worker need not keep that any longer."""

    session: str
    serial: int


class Stop(PipeMessage, frozen=True, kw_only=True, tag="stop"):
    """Take no more sessions; exit when the last is over, or at once."""

    now: bool = False


ToWorker = (
    Settle | Begin | Refuse | Show | Decision | Prompts | TargetAnswer | Trusted | CredentialAnswer | Signature | Approval
    | Sealed | Terminate | Lock | Follow | Unfollow | Noted | Stop
)  # fmt: skip
