"""The helper's side: takes connections from the front's user, carries out one request after the other, with what is permitted.

A connection that says anything else than requests is closed. All connections share the machine, so steps that change or read it
run one at a time; the clock, which may take ten seconds, is asked beside them.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog
from msgspec import Struct

from doorward.host.errors import HostError, HostRefusedError, os_reason
from doorward.host.files import FileEntry
from doorward.host.helper import permitted, wire
from doorward.host.resources import File, Symlink

if TYPE_CHECKING:
    from doorward.host.engine import Host
    from doorward.host.kinds import Kind
    from doorward.host.plan import Change
    from doorward.host.resources import HostResource

MAX_CONNECTIONS: Final = 16
MAX_OBSERVED: Final = 1 << 16
"""What one change may note for putting back; each is a file or a fact of this machine."""
_WORKERS_SECONDS: Final = 60.0
_CREDENTIALS = struct.Struct("3i")

_log = structlog.stdlib.get_logger(__name__)


class Rules(Struct, frozen=True):
    """Who may ask (``users``, by number), for what, and the command that starts session workers, if this helper has one.

    ``check`` and ``check_touched`` raise HostError for what is not permitted.
    """

    users: Collection[int]
    workers: Sequence[str] = ()
    check: Callable[[Change[HostResource]], None] = permitted.check_change
    check_touched: Callable[[Sequence[str]], None] = permitted.check_touched


class HelperServer:
    """Serves a host on a listening Unix socket, in threads of its own. ``serve`` returns after ``stop``.

    The socket goes on listening: it is systemd's, which hands it to the next helper.
    """

    def __init__(self, host: Host, listener: socket.socket, rules: Rules) -> None:
        self._host, self._listener, self._rules = host, listener, rules
        self._machine = threading.Lock()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_stopping = False
        self._stop, self._stopped = socket.socketpair()

    def serve(self) -> None:
        """Accept until `stop` is called."""
        self._listener.setblocking(False)  # noqa: FBT003 - the name says it
        with self._stop, self._stopped, selectors.DefaultSelector() as awaited:
            awaited.register(self._listener, selectors.EVENT_READ)
            awaited.register(self._stopped, selectors.EVENT_READ)
            while True:
                awaited.select()
                if self._is_stopping:
                    return
                self._accept()

    def stop(self) -> None:
        """Accept no more, and end all connections; the machine is left as it is."""
        self._is_stopping = True
        with suppress(OSError):  # it has ended
            self._stop.send(b"\0")
        with self._lock:
            for connection in self._open:
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:  # whoever it was has gone
            return
        except OSError:  # of a shortage
            time.sleep(0.1)
            return
        connection.setblocking(True)  # noqa: FBT003 - the standard library's signature
        if not self._take(connection):
            connection.close()

    def _take(self, connection: socket.socket) -> bool:
        """Begin to serve a connection; whether it may stay."""
        _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if user not in self._rules.users:
            _log.warning("user has no business with the helper", user=user)
            return False
        with self._lock:
            if self._is_stopping or len(self._open) >= MAX_CONNECTIONS:
                return False
            self._open.add(connection)
        threading.Thread(target=self._converse, args=(connection,), name="helper", daemon=True).start()
        return True

    def _converse(self, connection: socket.socket) -> None:
        asked = HelperConversation(self._host, self._rules, self._machine)
        try:
            while (request := wire.receive_request(connection)) is not None:
                wire.send(connection, asked.answer(request))
        except wire.WireError as error:
            _log.warning("connection to the helper ended", reason=str(error))
        except OSError:  # it is gone
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()


@dataclass
class HelperConversation:
    """What one connection asks for."""

    host: Host
    rules: Rules
    machine: AbstractContextManager[object]
    observed: dict[int, tuple[tuple[str, str], object]] = field(default_factory=dict)
    """What was there, by number, with the identity of the resource that it was observed of."""
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def answer(self, request: wire.Requests) -> wire.HelperResponse:
        """Return the response to a request. Raises WireError where it is none that can be understood."""
        try:
            if isinstance(request, _UNORDERED):
                return _STEPS[type(request)](self, request)
            with self.machine:
                return _STEPS[type(request)](self, request)
        except HostError as failure:
            return wire.Failed(failure.reason)
        except HostRefusedError as refusal:
            return wire.Declined(refusal.code, refusal.message)
        except OSError as error:
            return wire.Failed(os_reason("the operating system refused a step", error))
        except wire.WireError:
            raise
        except Exception:  # noqa: BLE001 - the front is told that there was one, and the log what it was
            _log.exception("request failed", request=type(request).__name__)
            return wire.Failed("an internal error occurred; the log of the helper has the details")

    def prepare(self, _: wire.Prepare) -> wire.Done:
        """See `wire.Prepare`."""
        self.host.start()
        return wire.Done()

    def release(self, _: wire.Release) -> wire.Done:
        """See `wire.Release`."""
        self.host.stop()
        return wire.Done()

    def plan(self, request: wire.PlanStep) -> wire.Planned:
        """See `wire.PlanStep`."""
        self.observed.clear()
        self.rules.check_touched(request.touched)
        change, kind = self._change(request.change)
        action, warnings = kind.plan(change, frozenset(request.touched))
        return wire.Planned((action.action, action.effect) if action is not None else None, tuple(warnings))

    def observe(self, request: wire.Observe) -> wire.Observed:
        """See `wire.Observe`."""
        change, kind = self._change(request.change)
        if len(self.observed) >= MAX_OBSERVED:
            raise HostError("a change has too many steps")
        number = next(self.numbers)
        self.observed[number] = change.subject.identity, kind.observe(change)
        return wire.Observed(number)

    def carry(self, request: wire.Carry) -> wire.Done:
        """See `wire.Carry`."""
        change, kind = self._change(request.change)
        (kind.apply if request.verb == "apply" else kind.verify)(change, _deadline(request.seconds))
        return wire.Done()

    def restore(self, request: wire.RestoreStep) -> wire.Done:
        """See `wire.RestoreStep`."""
        change, kind = self._change(request.change)
        identity, before = self.observed.get(request.observed, (None, None))
        if identity != change.subject.identity:  # nor is what was observed of one resource put in the place of another
            raise HostError("what was there before the change is not known any more")
        (kind.restore if request.verb == "restore" else kind.confirm)(change, before, _deadline(request.seconds))
        return wire.Done()

    def compare(self, request: wire.Compare) -> wire.Differences:
        """See `wire.Compare`."""
        resource, kind = self._resource(request.resource)
        return wire.Differences(tuple(kind.drift(resource)))

    def find(self, request: wire.Find) -> wire.FoundEntry:
        """See `wire.Find`."""
        resource, kind = self._resource(request.resource)
        entry = kind.found(resource) if isinstance(resource, File | Symlink) else None
        if not isinstance(entry, FileEntry):
            return wire.FoundEntry(is_there=False)
        return wire.FoundEntry(is_there=True, content=entry.content, mode=entry.mode, target=entry.target, owner=entry.owner)

    def locate(self, request: wire.Locate) -> wire.FoundPath:
        """See `wire.Locate`."""
        resource, kind = self._resource(request.resource)
        return wire.FoundPath(kind.touches(resource))

    def ask_time(self, _: wire.AskTime) -> wire.Time:
        """See `wire.AskTime`."""
        return wire.Time(self.host.time_status())

    def synchronise(self, _: wire.Synchronise) -> wire.Synchronised:
        """See `wire.Synchronise`."""
        return wire.Synchronised(self.host.sync())

    def start_workers(self, _: wire.StartWorkers) -> wire.Done:
        """See `wire.StartWorkers`."""
        if not self.rules.workers:
            raise HostError("no session workers run; on a machine with systemd the service doorward-workers runs them")
        try:
            done = subprocess.run(
                self.rules.workers, stdin=subprocess.DEVNULL, capture_output=True, timeout=_WORKERS_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError("the session workers do not start") from error
        if done.returncode:
            _log.error("session workers not started", said=done.stderr.decode(errors="replace").strip()[-500:])
            raise HostError("the session workers do not start: see their log, and that of the helper")
        return wire.Done()

    def _change(self, told: wire.TaggedChange) -> tuple[Change[Any], Kind[Any]]:
        change = told.read()
        self.rules.check(change)
        return change, self._kind(change.subject)

    def _resource(self, told: wire.Tagged) -> tuple[HostResource, Kind[Any]]:
        change, kind = self._change(wire.TaggedChange(told, None))
        return change.subject, kind

    def _kind(self, resource: HostResource) -> Kind[Any]:
        kind = self.host.kinds.get(type(resource))
        if kind is None:
            raise HostError(f"this host does not handle resources of the kind {resource.identity[0]}")
        return kind


_UNORDERED = wire.AskTime | wire.Synchronise | wire.StartWorkers
"""What need not wait for steps, nor they for it."""
_STEPS: Final[dict[type[wire.HelperRequest], Callable[[HelperConversation, Any], wire.HelperResponse]]] = {
    wire.Prepare: HelperConversation.prepare,
    wire.Release: HelperConversation.release,
    wire.PlanStep: HelperConversation.plan,
    wire.Observe: HelperConversation.observe,
    wire.Carry: HelperConversation.carry,
    wire.RestoreStep: HelperConversation.restore,
    wire.Compare: HelperConversation.compare,
    wire.Find: HelperConversation.find,
    wire.Locate: HelperConversation.locate,
    wire.AskTime: HelperConversation.ask_time,
    wire.Synchronise: HelperConversation.synchronise,
    wire.StartWorkers: HelperConversation.start_workers,
}


def _deadline(seconds: float) -> float:
    """The moment until which a step may take; what is no time at all is over at once."""
    return time.monotonic() + (min(seconds, wire.MAX_SECONDS) if seconds > 0 else 0.0)
