"""The front's side: a host whose kinds are handled by a helper. It implements the same port as every other host.

Rank and order of the kinds are those of the kinds themselves; only the steps are asked for elsewhere.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from typing_extensions import override

from doorward.host.engine import Host
from doorward.host.errors import HostError, HostRefusedError
from doorward.host.files import FileEntry
from doorward.host.helper import wire
from doorward.host.kinds import Kind, R
from doorward.host.kinds.daemon import DaemonKind
from doorward.host.kinds.line import LineKind
from doorward.host.kinds.name_servers import NameServersKind
from doorward.host.kinds.network import AddressKind, HostnameKind, RouteKind, VlanKind
from doorward.host.kinds.networkd import NetworkdKind
from doorward.host.kinds.path import FileKind, SymlinkKind
from doorward.host.kinds.zone import ZoneKind
from doorward.host.managed import Managed
from doorward.host.network_resources import Hostname, NameServers, NetworkAddress, Networkd, NetworkLine, Route, Vlan
from doorward.host.plan import Action, Change, HostWarning
from doorward.host.resources import Daemon, File, Symlink, Zone

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from doorward.host.resources import HostResource
    from doorward.host.time_status import SyncResult, TimeStatus

_PATIENCE_SECONDS: Final = 20.0
"""How much longer than a step may take its response is waited for."""
_CREDENTIALS = struct.Struct("3i")

A = TypeVar("A", bound=wire.HelperResponse)

_KINDS: Final[dict[type[HostResource], type[Kind[Any]]]] = {
    File: FileKind,
    Symlink: SymlinkKind,
    Zone: ZoneKind,
    Daemon: DaemonKind,
    NetworkLine: LineKind,
    Vlan: VlanKind,
    NetworkAddress: AddressKind,
    Networkd: NetworkdKind,
    Route: RouteKind,
    NameServers: NameServersKind,
    Hostname: HostnameKind,
}


class HelperClient:
    """Asks a helper, over a connection for steps and others, one at a time, for what takes longer. Safe in any thread."""

    def __init__(self, path: Path, users: Collection[int] = (0,)) -> None:
        """``users``: who a helper at ``path`` may run as. Nothing is connected before it is used."""
        self._path, self._users = path, users
        self._steps: socket.socket | None = None
        self._lock = threading.Lock()

    def ask(self, request: wire.HelperRequest, kind: type[A], seconds: float = 0.0) -> A:
        """Put a request for a step and return its response. Raises HostError, HostRefusedError."""
        with self._lock:
            is_new = self._steps is None
            try:
                return self._exchange(request, kind, seconds)
            except _LostError:
                # A helper that was started anew takes the request like the old one, as long as nothing of it was carried out.
                if is_new or isinstance(request, wire.Carry | wire.RestoreStep | wire.StartWorkers):
                    raise
                return self._exchange(request, kind, seconds)

    def ask_apart(self, request: wire.HelperRequest, kind: type[A], seconds: float = 0.0) -> A:
        """Put a request that others need not wait for, over a connection of its own. Raises as `ask`."""
        with self._opened() as connection:
            return _expected(_converse(connection, request, seconds), kind)

    def close(self) -> None:
        """Hang up; the next request connects again."""
        with self._lock:
            self._hang_up()

    def _exchange(self, request: wire.HelperRequest, kind: type[A], seconds: float) -> A:
        if self._steps is None:
            self._steps = self._connect()
        try:
            response = _converse(self._steps, request, seconds)
        except BaseException:
            self._hang_up()
            raise
        return _expected(response, kind)

    def _hang_up(self) -> None:
        if self._steps is not None:
            self._steps.close()
            self._steps = None

    @contextmanager
    def _opened(self) -> Iterator[socket.socket]:
        connection = self._connect()
        try:
            yield connection
        finally:
            connection.close()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Not by `settimeout`, with which a helper that has much to accept is an error at once.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(_PATIENCE_SECONDS), 0))
            connection.connect(str(self._path))
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            _, user, _ = _CREDENTIALS.unpack(credentials)
        except OSError as error:
            connection.close()
            raise _LostError(
                f"the helper of the host does not answer at {self._path}: {error.strerror or 'no answer'}"
            ) from error
        if user not in self._users:
            connection.close()
            raise HostError(f"user {user}, who is not root, listens at {self._path} in place of the helper of the host")
        return connection


class _LostError(HostError):
    """The connection to the helper broke, or there was none."""


def _converse(connection: socket.socket, request: wire.HelperRequest, seconds: float) -> wire.Responses:
    connection.settimeout(seconds + _PATIENCE_SECONDS)
    try:
        wire.send(connection, request)
        return wire.receive_response(connection)
    except (OSError, wire.WireError) as error:
        raise _LostError("the helper of the host gave no answer") from error


def _expected(response: wire.Responses, kind: type[A]) -> A:
    if isinstance(response, wire.Failed):
        raise HostError(response.reason)
    if isinstance(response, wire.Declined):
        raise HostRefusedError(response.code, response.message)
    if not isinstance(response, kind):
        raise HostError("the helper of the host answered something else than was asked")
    return response


class RemoteKind(Kind[R]):
    """A kind whose steps a helper carries out."""

    def __init__(self, client: HelperClient, handled: type[Kind[R]]) -> None:
        """``handled`` says where its steps stand in a plan."""
        self._client = client
        self.rank, self.removal_rank, self.is_restored_last = handled.rank, handled.removal_rank, handled.is_restored_last

    @override
    def touches(self, resource: R) -> str | None:
        """Return the path of a file, link or line as it is; where name servers are written depends on the machine."""
        if isinstance(resource, File | Symlink | NetworkLine):
            return resource.path
        if not isinstance(resource, NameServers):
            return None
        return self._client.ask(wire.Locate(wire.Tagged.of(resource)), wire.FoundPath).path

    @override
    def plan(self, change: Change[R], touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """See `Kind.plan`."""
        found = self._client.ask(wire.PlanStep(_told(change), tuple(sorted(touched))), wire.Planned)
        return change.action(*found.action) if found.action is not None else None, list(found.warnings)

    @override
    def observe(self, change: Change[R]) -> object:
        """Return the number under which the helper keeps what it has seen."""
        return self._client.ask(wire.Observe(_told(change)), wire.Observed).number

    @override
    def apply(self, change: Change[R], deadline: float) -> None:
        """See `Kind.apply`."""
        seconds = _left(deadline)
        self._client.ask(wire.Carry("apply", _told(change), seconds), wire.Done, seconds)

    @override
    def verify(self, change: Change[R], deadline: float) -> None:
        """See `Kind.verify`."""
        seconds = _left(deadline)
        self._client.ask(wire.Carry("verify", _told(change), seconds), wire.Done, seconds)

    @override
    def restore(self, change: Change[R], before: object, deadline: float) -> None:
        """See `Kind.restore`."""
        seconds = _left(deadline)
        self._client.ask(wire.RestoreStep("restore", _told(change), _number(before), seconds), wire.Done, seconds)

    @override
    def confirm(self, change: Change[R], before: object, deadline: float) -> None:
        """See `Kind.confirm`."""
        seconds = _left(deadline)
        self._client.ask(wire.RestoreStep("confirm", _told(change), _number(before), seconds), wire.Done, seconds)

    @override
    def drift(self, resource: R) -> list[HostWarning]:
        """See `Kind.drift`."""
        return list(self._client.ask(wire.Compare(wire.Tagged.of(resource)), wire.Differences).warnings)

    @override
    def found(self, resource: R) -> object:
        """Return the `FileEntry` of a file or link."""
        found = self._client.ask(wire.Find(wire.Tagged.of(resource)), wire.FoundEntry)
        return FileEntry(found.content, found.mode, found.target, found.owner) if found.is_there else None


class RemoteClock:
    """The clock of a host with a helper."""

    def __init__(self, client: HelperClient) -> None:
        self._client = client

    def status(self) -> TimeStatus:
        """See `Clock.status`."""
        return self._client.ask_apart(wire.AskTime(), wire.Time).status

    def sync(self) -> SyncResult:
        """See `Clock.sync`."""
        return self._client.ask_apart(wire.Synchronise(), wire.Synchronised).result


class RemotePart:
    """The life of the helper's daemons with the front."""

    def __init__(self, client: HelperClient) -> None:
        self._client = client
        self._is_started = False

    def start(self) -> None:
        """Have the machine prepared."""
        self._client.ask(wire.Prepare(), wire.Done, _PATIENCE_SECONDS)
        self._is_started = True

    def stop(self) -> None:
        """Have what is ours ended, and hang up; a helper that is gone has done that by itself."""
        if self._is_started:
            self._is_started = False
            try:
                self._client.ask(wire.Release(), wire.Done)
            except _LostError:
                return
            finally:
                self._client.close()


def remote(name: str, root: Path, client: HelperClient, managed: Managed) -> Host:
    """Return a host whose resources a helper handles; nothing is asked of it before it is used."""
    kinds: dict[type[HostResource], Kind[Any]] = {found: RemoteKind(client, kind) for found, kind in _KINDS.items()}
    return Host(name, root, kinds, clock=RemoteClock(client), parts=[RemotePart(client)], managed=managed)


def _told(change: Change[Any]) -> wire.TaggedChange:
    return wire.TaggedChange.of(change)


def _left(deadline: float) -> float:
    return max(0.0, min(wire.MAX_SECONDS, deadline - time.monotonic()))


def _number(before: object) -> int:
    if not isinstance(before, int):
        raise TypeError("the helper notes things by number")
    return before
