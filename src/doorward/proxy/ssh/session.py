"""One session in a worker: the client's login, the way to the target, the relay, the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from msgspec import Struct

from doorward.proxy import messages
from doorward.proxy.ssh.dialogue import RefusedError
from doorward.proxy.ssh.gate import Gate
from doorward.proxy.ssh.legs.client_leg import ClientLeg
from doorward.proxy.ssh.legs.leg import Leg
from doorward.proxy.ssh.legs.server_leg import LoginAttempt
from doorward.proxy.ssh.policy import SessionPolicy
from doorward.proxy.ssh.ports import Control, ControlGoneError, NotRecordedError, Observer
from doorward.proxy.ssh.relay import Relay
from doorward.proxy.ssh.target import SessionTarget, TargetError
from doorward.proxy.ssh.watch import Watch
from doorward.proxy.ssh.wire.errors import LegError, LostError, PeerDisconnectedError, ProtocolViolationError
from doorward.proxy.ssh.wire.failures import log_failure
from doorward.proxy.ssh.wire.numbers import Disconnect
from doorward.sessions.channels import Circumstances

READING_SECONDS = 0.3
"""What a client gets to show why its session is ended."""
ACCEPT = "ACCEPT"
AUTH_FAIL = "AUTH_FAIL"
FAIL = "FAIL"


class Outcome(Struct, frozen=True):
    """How a session was. ``verdict``: ACCEPT, AUTH_FAIL, FAIL or what ended it; bytes of data from the server and the client."""

    verdict: str
    reason: str
    down: int = 0
    up: int = 0


class SshSession:
    """A session. Made in a running event loop; takes over the socket."""

    def __init__(self, sock: socket.socket, begin: messages.Begin, control: Control, observer: Observer) -> None:
        self._begin = begin
        self._rules = begin.rules
        self._control = control
        self._observer = observer
        self._over: asyncio.Future[tuple[Outcome, int]] = asyncio.get_running_loop().create_future()
        self._client = ClientLeg(sock, self._rules.settings, [key.private for key in begin.host_keys])
        self._destination = SessionTarget(control, self._rules.settings, self._client.banner)
        self._gate = Gate(self._client, self._rules, control, self._reach)
        self._relay: Relay | None = None
        self._target: messages.TargetAnswer | None = None
        self._watch: Watch | None = None
        self._holds = 0
        self._is_locked = False
        self._is_ending = False

    # --- from outside ---

    @property
    def figures(self) -> tuple[int, int, int, float]:
        """Channels open, bytes down, bytes up, the last activity by the clock of the event loop."""
        relay, watch = self._relay, self._watch
        return (0, 0, 0, 0.0) if relay is None or watch is None else (relay.table.open, relay.down, relay.up, watch.active)

    @property
    def exchanges(self) -> tuple[int, int]:
        """How often keys were exchanged with the client and with the server."""
        server = self._destination.leg
        return self._client.keys.count, 0 if server is None else server.keys.count

    def terminate(self, reason: str, verdict: str = "TERMINATED") -> None:
        """End the session at once; the user is told why, on terminals and by SSH."""
        if self._over.done() or self._is_ending:
            return
        outcome = Outcome(verdict, reason)
        if self._relay is not None:
            self._relay.stop()
            if self._relay.say(reason):
                # A client that gets the end together with the text does not show the text.
                self._is_ending = True
                asyncio.get_running_loop().call_later(READING_SECONDS, self._finish, outcome, Disconnect.BY_APPLICATION)
                return
        self._finish(outcome, Disconnect.BY_APPLICATION)

    def abort(self) -> None:
        """Close both connections at once, whatever still waits to be sent: the process ends."""
        for leg in (self._client, self._destination.leg):
            if leg is not None:
                leg.wire.abort()

    def end(self, reason: str, verdict: str) -> None:
        """See `ports.Flow`."""
        self.terminate(reason, verdict)

    def lock(self, locked: bool) -> None:  # noqa: FBT001 - a state
        """Hold what the client sends, or let it go on; the user is told."""
        if locked == self._is_locked:
            return
        self._is_locked = locked
        if self._relay is not None:
            self._relay.say("The session is locked." if locked else "The session goes on.")
            self._relay.lock(locked)

    def say(self, text: str) -> None:
        """Show a text on the terminals of the session."""
        if self._relay is not None:
            self._relay.say(text)

    def hold(self) -> None:
        """See `ports.Flow`."""
        self._holds += 1
        if self._relay is not None:
            self._relay.brakes.hold()

    def release(self) -> None:
        """See `ports.Flow`."""
        if self._holds:
            self._holds -= 1
            if self._relay is not None:
                self._relay.brakes.release()

    # --- the life of a session ---

    async def run(self) -> Outcome:
        """Serve the client until the session is over; the trail is whole when this returns."""
        self._observer.begin(self)
        self._client.start()
        life = asyncio.ensure_future(self._live())
        lost = asyncio.ensure_future(self._client.gone())
        try:
            await asyncio.wait((life, lost, self._over), return_when=asyncio.FIRST_COMPLETED)
            outcome, code = self._judge(life)
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            for task in (life, lost):
                task.cancel()
            await asyncio.gather(life, lost, return_exceptions=True)
        self._say_goodbye(outcome.reason, code)
        relay = self._relay
        if relay is not None and self._watch is not None:
            self._watch.stop()
            relay.end()
            outcome = Outcome(outcome.verdict, outcome.reason, relay.down, relay.up)
        await self._observer.end(outcome.verdict, outcome.reason)
        return outcome

    def _judge(self, life: asyncio.Task[None]) -> tuple[Outcome, int]:
        """How the session ended, and what both sides are told."""
        if self._over.done():
            return self._over.result()
        error = life.exception() if life.done() and not life.cancelled() else self._client.error
        if isinstance(error, RefusedError):
            outcome, code = Outcome(AUTH_FAIL, str(error)), int(error.code)
        elif isinstance(error, LegError):
            outcome, code = self._after_loss(error)
        elif isinstance(error, TargetError):
            if error.event:
                self._control.happened(error.event, {"reason": str(error)})
            outcome, code = Outcome(FAIL, str(error)), error.code
        elif isinstance(error, NotRecordedError):
            outcome, code = Outcome(FAIL, str(error)), int(Disconnect.BY_APPLICATION)
        elif isinstance(error, ControlGoneError):
            outcome, code = Outcome(FAIL, "Logins are not possible at the moment"), int(Disconnect.BY_APPLICATION)
        else:
            if error is not None:
                log_failure("a session failed by an error of ours", error)
            outcome, code = Outcome(FAIL, "Internal error"), int(Disconnect.BY_APPLICATION)
        return outcome, code

    def _after_loss(self, error: LegError) -> tuple[Outcome, int]:
        by_server = self._destination.leg is not None and self._destination.leg.error is error
        if isinstance(error, ProtocolViolationError):
            facts = {"reason": str(error), "by": "server" if by_server else "client"}
            self._control.happened("protocol_violation", facts)
        elif by_server and not self._gate.dialogue.is_admitted:
            self._control.happened("connection_failed", {"reason": str(error)})
        verdict = AUTH_FAIL if not self._gate.dialogue.is_admitted and not by_server else FAIL
        return Outcome(verdict, str(error)), int(error.code)

    async def _live(self) -> None:
        await self._gate.run()
        await self._start_relay()
        await asyncio.Future()

    async def _reach(self, target: messages.TargetAnswer) -> LoginAttempt:
        """Connect to the target and log in there; once the trail has begun."""
        if self._destination.leg is None:
            self._target = target
            self._observer.facts(
                {
                    "client_version": self._client.version_text,
                    "user": self._gate.dialogue.user,
                    "gateway_user": self._gate.gateway_user,
                    "gateway_groups": list(self._gate.groups),
                    "method": self._gate.method,
                    "server": target.name,
                    "port": target.port,
                    "server_user": target.user,
                }
            )
            await self._observer.ready()
            await self._destination.connect(target)
        return await self._destination.login(self._gate)

    async def _start_relay(self) -> None:
        server, target = self._destination.connected, self._target
        if target is None or server.server_key is None:
            raise RuntimeError("The gate let somebody through to no target.")
        destination = self._destination
        local = server.wire.local
        self._control.connected(
            destination.address, target.port, local, target.user, destination.method, server.version_text, server.server_key.shown
        )
        self._observer.facts(
            {"server_address": destination.address, "server_version": server.version_text, "server_method": destination.method}
        )
        around = Circumstances(
            client=self._begin.client[0],
            server=destination.address,
            server_name=target.name,
            gateway_groups=self._gate.groups,
            remote_groups=target.groups,
        )
        relay = self._relay = Relay(
            self._client,
            server,
            settings=self._rules.settings,
            policy=SessionPolicy(self._rules.channels, around),
            control=self._control,
            observer=self._observer,
            ended=self._leg_ended,
        )
        for _ in range(self._holds):
            relay.brakes.hold()
        relay.lock(self._is_locked)
        relay.start()
        self._watch = Watch(relay, self._rules.settings, self.terminate)

    def _leg_ended(self, leg: Leg, error: LegError) -> None:
        """Take the end of a leg while the relay runs."""
        if isinstance(error, PeerDisconnectedError) or (isinstance(error, LostError) and leg is self._client):
            outcome = Outcome(ACCEPT, str(error))
        else:
            outcome, _ = self._after_loss(error)
        self._finish(outcome, error.code if not isinstance(error, LostError) else Disconnect.BY_APPLICATION)

    def _finish(self, outcome: Outcome, code: int) -> None:
        if not self._over.done():
            self._over.set_result((outcome, code))
            # At once: nothing may go through any longer, not even what is read already.
            self._say_goodbye(outcome.reason, code)

    def _say_goodbye(self, reason: str, code: int) -> None:
        for leg in (self._client, self._destination.leg):
            if leg is not None and leg.error is None:
                with contextlib.suppress(LegError):
                    leg.disconnect(code, reason)
