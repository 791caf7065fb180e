"""What front and helper say to each other: ``u32 length | MessagePack``, one response to each request, nothing else.

Times are seconds from now, since a deadline is worth only as much as the clock that it was read from.
"""

from __future__ import annotations

import socket
import struct
from typing import Final, Literal

import msgspec

from doorward.host.errors import RefusalCode
from doorward.host.network_resources import Hostname, NameServers, NetworkAddress, Networkd, NetworkLine, Route, Vlan
from doorward.host.plan import Change, Effect, HostWarning
from doorward.host.resources import Daemon, File, HostResource, Symlink, Zone
from doorward.host.time_status import SyncResult, TimeStatus

MAX_MESSAGE: Final = 2 << 20
"""Bytes of a message without its length: more than any file that Doorward makes."""
MAX_SECONDS: Final = 300.0
"""The longest time that a step may be given."""

CLASSES: Final[dict[str, type[HostResource]]] = {
    "file": File,
    "symlink": Symlink,
    "zone": Zone,
    "daemon": Daemon,
    "line": NetworkLine,
    "vlan": Vlan,
    "address": NetworkAddress,
    "networkd": Networkd,
    "route": Route,
    "name_servers": NameServers,
    "hostname": Hostname,
}
"""Every kind of resource that a helper handles; listeners and jobs belong to the front."""
_NAMES: Final = {found: name for name, found in CLASSES.items()}

_LENGTH = struct.Struct(">I")


class WireError(Exception):
    """The other side does not keep to the rules, or is gone."""


class Tagged(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A resource: the name of its kind, and its members."""

    kind: Literal[
        "file", "symlink", "zone", "daemon", "line", "vlan", "address", "networkd", "route", "name_servers", "hostname"
    ]  # fmt: skip
    body: msgspec.Raw

    @classmethod
    def of(cls, resource: HostResource) -> Tagged:
        """Put a resource into words."""
        return cls(_NAMES[type(resource)], msgspec.Raw(_encode(resource)))  # type: ignore[arg-type]  # a key of CLASSES

    def read(self) -> HostResource:
        """Return the resource. Raises WireError."""
        try:
            return _READERS[self.kind].decode(self.body)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise WireError(f"a resource of the kind {self.kind} can't be read: {error}") from None


class TaggedChange(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A change of one resource; one of both sides is there."""

    resource: Tagged | None
    previous: Tagged | None

    @classmethod
    def of(cls, change: Change[HostResource]) -> TaggedChange:
        """Put a change into words."""
        return cls(
            Tagged.of(change.resource) if change.resource is not None else None,
            Tagged.of(change.previous) if change.previous is not None else None,
        )

    def read(self) -> Change[HostResource]:
        """Return the change. Raises WireError."""
        resource = self.resource.read() if self.resource is not None else None
        previous = self.previous.read() if self.previous is not None else None
        kinds = {type(one) for one in (resource, previous) if one is not None}
        if len(kinds) != 1:
            raise WireError("a change is of one resource")
        return Change(resource, previous)


class HelperRequest(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """What a front may ask for."""


class Prepare(HelperRequest, frozen=True):
    """Prepare the machine, as at a start."""


class Release(HelperRequest, frozen=True):
    """End the daemons that live and die with Doorward."""


class PlanStep(HelperRequest, frozen=True):
    """Say what a change needs; ``touched``: the paths that change before it. What was observed until now is forgotten."""

    change: TaggedChange
    touched: tuple[str, ...]


class Observe(HelperRequest, frozen=True):
    """Note what the machine has now, for putting it back."""

    change: TaggedChange


class Carry(HelperRequest, frozen=True):
    """Apply, or verify, a change."""

    verb: Literal["apply", "verify"]
    change: TaggedChange
    seconds: float


class RestoreStep(HelperRequest, frozen=True):
    """Restore, or confirm, what was observed."""

    verb: Literal["restore", "confirm"]
    change: TaggedChange
    observed: int
    seconds: float


class Compare(HelperRequest, frozen=True):
    """Say how the machine differs from a resource."""

    resource: Tagged


class Find(HelperRequest, frozen=True):
    """Say what stands at the path of a file or link."""

    resource: Tagged


class Locate(HelperRequest, frozen=True):
    """Say which file a resource is written to."""

    resource: Tagged


class AskTime(HelperRequest, frozen=True):
    """Say how the clock does."""


class Synchronise(HelperRequest, frozen=True):
    """Measure all time sources and step the clock."""


class StartWorkers(HelperRequest, frozen=True):
    """Start the session workers, where the helper was told how."""


Requests = (
    Prepare | Release | PlanStep | Observe | Carry | RestoreStep | Compare | Find | Locate | AskTime | Synchronise | StartWorkers
)


class HelperResponse(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """What a helper answers."""


class Done(HelperResponse, frozen=True):
    """It is done."""


class Planned(HelperResponse, frozen=True):
    """The text and effect of an action, None where none is needed, and warnings."""

    action: tuple[str, Effect] | None
    warnings: tuple[HostWarning, ...]


class Observed(HelperResponse, frozen=True):
    """The number under which something is kept."""

    number: int


class Differences(HelperResponse, frozen=True):
    """How the machine differs."""

    warnings: tuple[HostWarning, ...]


class FoundEntry(HelperResponse, frozen=True):
    """What stands at a path; ``is_there`` False: nothing."""

    is_there: bool
    content: bytes = b""
    mode: int = 0
    target: str | None = None
    owner: tuple[int, int] | None = None


class FoundPath(HelperResponse, frozen=True):
    """A path of the machine, or none."""

    path: str | None


class Time(HelperResponse, frozen=True):
    """How the clock does."""

    status: TimeStatus


class Synchronised(HelperResponse, frozen=True):
    """The clock was stepped."""

    result: SyncResult


class Declined(HelperResponse, frozen=True):
    """Something that is declined by rule (`HostRefusedError`)."""

    code: RefusalCode
    message: str


class Failed(HelperResponse, frozen=True):
    """It could not be done: one sentence for an operator."""

    reason: str


Responses = Done | Planned | Observed | Differences | FoundEntry | FoundPath | Time | Synchronised | Declined | Failed

_encode = msgspec.msgpack.Encoder().encode
_READERS: Final = {name: msgspec.msgpack.Decoder(found) for name, found in CLASSES.items()}
_REQUEST: Final = msgspec.msgpack.Decoder[Requests](Requests)
_RESPONSE: Final = msgspec.msgpack.Decoder[Responses](Responses)


def send(connection: socket.socket, message: HelperRequest | HelperResponse) -> None:
    """Send a message. Raises OSError, or WireError where it is too long."""
    body = _encode(message)
    if len(body) > MAX_MESSAGE:
        raise WireError(f"{type(message).__name__} is too long")
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive_request(connection: socket.socket) -> Requests | None:
    """Return the next request, None at the end. Raises OSError, WireError."""
    body = _receive(connection)
    try:
        return _REQUEST.decode(body) if body is not None else None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise WireError(f"a request can't be read: {error}") from None


def receive_response(connection: socket.socket) -> Responses:
    """Return the response to what was asked. Raises OSError, WireError."""
    body = _receive(connection)
    if body is None:
        raise WireError("the helper disconnected")
    try:
        response: Responses = _RESPONSE.decode(body)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise WireError(f"a response can't be read: {error}") from None
    return response


def _receive(connection: socket.socket) -> bytes | None:
    head = _exactly(connection, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_MESSAGE:
        raise WireError(f"a message of {length} bytes is too long")
    body = _exactly(connection, length)
    if body is None:
        raise WireError("a message was cut off")
    return body


def _exactly(connection: socket.socket, length: int) -> bytes | None:
    """Return so many bytes; None where the end comes before the first of them."""
    parts, left = [], length
    while left:
        part = connection.recv(min(left, 1 << 16))
        if not part:
            if left == length:
                return None
            raise WireError("a message was cut off")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
