"""One session as control sees it: how far it is, who it is, what it may still ask for; and the worker that has it."""

from __future__ import annotations

import asyncio
import secrets
import string
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from msgspec import Struct

from doorward.proxy.control.connections import ResolvedPolicy
from doorward.proxy.control.ports import WorkerLink
from doorward.proxy.messages import PipeMessage
from doorward.sessions.rules import Relayed

KEY_LENGTH = 22
MAX_SEALING = 256
"""Seals of one worker that are worked out at once; it is not listened to beyond."""
_LETTERS = string.ascii_letters
_ALL = string.ascii_letters + string.digits


def new_key() -> str:
    """Return the key of a new session: 22 letters and digits, the first a letter, about 130 random bits."""
    return secrets.choice(_LETTERS) + "".join(secrets.choice(_ALL) for _ in range(KEY_LENGTH - 1))


class MisbehaviourError(Exception):
    """A worker said what none of ours says: something out of its order, or of a session that is not its own."""


class Phase(IntEnum):
    """How far a session is. It never goes back."""

    PLACED = 0
    """A worker has the connection."""
    LOGIN = 1
    """Keys are exchanged with the client, which may log in."""
    ADMITTED = 2
    """It is known who it is, or nobody has to log in."""
    TARGETED = 3
    """The worker knows the target and is to log in there."""
    CONNECTED = 4
    """The session is logged in at its target: nothing secret is given out any more."""
    ENDED = 5


class LoginProof(Struct, frozen=True):
    """What somebody logged in with: its removal ends the session. Kept with the row; never a secret itself.

    ``kind``: ``password``, ``public_key`` or ``authority``; ``of``: the key of the secret, the public key, that of the authority
    which signed a certificate.
    """

    kind: str
    of: str = ""


class Person(Struct, frozen=True):
    """Who logged in at the gateway."""

    name: str = ""
    groups: tuple[str, ...] = ()
    proofs: tuple[LoginProof, ...] = ()


class Located(Struct, frozen=True):
    """The target of a session: where it was found, and who the user is there."""

    name: str
    addresses: tuple[str, ...]
    port: int
    user: str
    groups: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    """The host keys that are trusted at any of the addresses, as OpenSSH public keys."""
    offers: tuple[Relayed, ...] = ()


def _nothing() -> None:
    """Have nothing to let go of."""


@dataclass(slots=True, eq=False, repr=False)
class Session:
    """One session. Lives in the event loop."""

    key: str
    number: int
    connection: ResolvedPolicy
    client: tuple[str, int]
    local: tuple[str, int]
    began: float = field(default_factory=time.time)
    """Seconds since 1970."""
    phase: Phase = Phase.PLACED
    worker: WorkerProxy | None = None
    """None while control is not connected to it."""
    host: str = ""
    """The name of the worker that has it."""
    identifier: bytes = b""
    client_version: str = ""
    algorithms: dict[str, str] = field(default_factory=dict)
    method: str = ""
    """How the user logged in at the gateway."""
    user: str = ""
    """The user name as the client typed it, target and all."""
    person: Person = field(default_factory=Person)
    target: Located | None = None
    forget: Callable[[], None] = _nothing
    """Lets go of its logins and the secrets that it may use: it is connected, or over."""
    is_kept: bool = False
    """Whether the catalogue has a row of it."""
    is_busy: bool = False
    """Whether an answer to the worker is being worked out: it may ask for one thing at a time."""
    lookups: int = 0
    """How often it asked for its target."""
    sealed: int = -1
    """The last frame that was sealed."""
    channels: int = 0
    down: int = 0
    up: int = 0
    moved: int = 0
    """The bytes, both ways, that the catalogue knows of; ``count_due``: when it is told again, on the monotonic clock."""
    count_due: float = 0.0
    activity: int = 0
    is_locked: bool = False
    serial: int = 0
    """The last of what has to arrive that did."""
    is_adopted: bool = False
    """Whether it began under an earlier run of control: nothing is asked for it any more."""
    ending: str = ""
    """Why it was told to end."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    keeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while its row is begun."""

    def __repr__(self) -> str:
        return f"Session({self.id})"

    @property
    def id(self) -> str:
        """The id in logs and events."""
        return f"svc/{self.key}/{self.connection.name}:{self.number}"

    @property
    def is_before_login(self) -> bool:
        """Whether nobody has come in yet."""
        return self.phase < Phase.CONNECTED and not self.person.name


@dataclass(slots=True, eq=False, repr=False)
class WorkerProxy:
    """One worker. ``pid`` is what it says itself."""

    name: str
    pid: int
    link: WorkerLink
    sessions: set[Session] = field(default_factory=set)
    memory: int = 0
    lag: int = 0
    """Milliseconds by which its recording is behind."""
    noted: dict[str, int] = field(default_factory=dict)
    """The last serial of each session that was taken and is not known to be on the disk."""
    sealing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_SEALING))
    """Free for another seal that is worked out."""
    strangers: set[str] = field(default_factory=set)
    """Sessions that it has and that control knows nothing of: it was told to end them."""

    def __repr__(self) -> str:
        return f"Worker({self.name})"

    def send(self, message: PipeMessage, descriptor: int | None = None) -> bool:
        """Send a message; whether the pipe is open."""
        return self.link.send(message, descriptor)
