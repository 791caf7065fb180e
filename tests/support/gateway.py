"""The SSH engine of a worker with a control and an observer that only note: what is asked for, what is seen."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import asyncssh
import uvloop

from doorward.proxy import messages
from doorward.proxy.ssh.ports import Flow
from doorward.proxy.ssh.protocols import SshProtocols
from doorward.proxy.ssh.session import Outcome, SshSession
from doorward.sessions.rules import (
    AlgorithmLists,
    Audit,
    ChannelRule,
    ChannelType,
    ConnectionRules,
    GatewayMethods,
    Relayed,
    SessionSettings,
)

MODERN = AlgorithmLists(
    kex=("mlkem768x25519-sha256", "curve25519-sha256", "ecdh-sha2-nistp256", "diffie-hellman-group16-sha512"),
    host_key=("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"),
    cipher=("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr", "aes128-ctr"),
    mac=("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"),
    compression=("none",),
)
LEGACY = AlgorithmLists(
    kex=(*MODERN.kex, "diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1", "diffie-hellman-group1-sha1"),
    host_key=(*MODERN.host_key, "ssh-rsa"),
    cipher=(*MODERN.cipher, "aes192-ctr", "aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"),
    mac=(*MODERN.mac, "hmac-sha1-etm@openssh.com", "hmac-sha1", "hmac-sha1-96", "hmac-md5"),
    compression=("none",),
)
EVERYTHING = tuple(ChannelRule(channel=channel, position=position) for position, channel in enumerate(ChannelType))
ALL_METHODS = GatewayMethods(password=True, keyboard_interactive=True, public_key=True, certificate=True)
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")


def make_rules(**changes: Any) -> ConnectionRules:
    """Rules that allow everything; ``settings`` is a mapping of changes to the settings."""
    settings = {"client": MODERN, "server": MODERN, **changes.pop("settings", {})}
    return ConnectionRules(
        **{
            "policy": "linux",
            "policy_key": "k",
            "channel_policy": "all",
            "revision": 1,
            "channels": EVERYTHING,
            "settings": SessionSettings(**settings),
            "methods": ALL_METHODS,
            "gateway_login": False,
            "relayed": (Relayed.SAME_PASSWORD, Relayed.KEYBOARD_INTERACTIVE, Relayed.AGENT),
            "audit": Audit(policy="default"),
            "inband": False,
            **changes,
        }
    )


@dataclass
class FakeControl:
    """A control of one session. What it answers is set beforehand; functions may be replaced."""

    target: messages.TargetAnswer
    rules: ConnectionRules
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=dict)
    """Users of the gateway and their passwords."""
    user_keys: tuple[str, ...] = ()
    prompts: list[messages.Prompts] = field(default_factory=list)
    answers: list[tuple[str, ...]] = field(default_factory=list)
    credential: messages.CredentialAnswer | None = None
    signer: Callable[[str, str, bytes], bytes] | None = None
    trusts: bool = False
    approves: asyncio.Future[bool] | bool = True
    identifier: bytes = b""
    partial: tuple[str, ...] = ()
    """After the first success these methods have to follow."""
    link: tuple[Any, ...] = ()

    def identified(self, identifier: bytes, client_version: str, algorithms: Mapping[str, str]) -> None:
        self.identifier = identifier
        self.asked.append(("identified", client_version, dict(algorithms)))

    def _decide(self, good: bool, user: str) -> messages.Decision:
        if good and self.partial:
            methods, self.partial = self.partial, ()
            return messages.Decision(session="", ask=0, outcome="partial", methods=methods)
        if good:
            return messages.Decision(session="", ask=0, outcome="accepted", user=user, groups=("staff",))
        return messages.Decision(session="", ask=0, outcome="refused")

    async def try_none(self, user: str) -> messages.Decision:
        self.asked.append(("none", user))
        return messages.Decision(session="", ask=0, outcome="refused")

    async def try_password(self, user: str, password: str) -> messages.Decision:
        self.asked.append(("password", user))
        return self._decide(self.passwords.get(user) == password, user)

    async def try_key(self, user: str, algorithm: str, key: bytes, signature: bytes | None) -> messages.Decision:
        self.asked.append(("key", user, algorithm, signature is not None))
        known = [asyncssh.import_public_key(text).public_data for text in self.user_keys]
        if b"-cert-" in key[:60]:
            plain: Any = asyncssh.import_certificate(f"{algorithm_of(key)} ".encode() + _base64(key)).key
        else:
            plain = asyncssh.import_public_key(f"{algorithm_of(key)} ".encode() + _base64(key))
        good = plain.public_data in known
        if good and signature is not None:
            text = b"".join(
                part
                for part in (
                    _string(self.identifier), b"\x32", _string(user.encode()), _string(b"ssh-connection"),
                    _string(b"publickey"), b"\x01", _string(algorithm.encode()), _string(key),
                )
            )  # fmt: skip
            good = plain.verify(text, signature)
        if good and signature is None:
            return messages.Decision(session="", ask=0, outcome="accepted", user=user)
        return self._decide(good, user)

    async def try_prompts(self, user: str, answers: tuple[str, ...] | None) -> messages.Decision | messages.Prompts:
        self.asked.append(("prompts", user))
        if answers is not None:
            self.answers.append(answers)
        return self.prompts.pop(0) if self.prompts else self._decide(True, user)

    async def find_target(self, user: str, method: str, text: str) -> messages.TargetAnswer:
        self.asked.append(("target", user, method, text))
        return self.target

    async def judge_host_key(self, address: str, port: int, key: str) -> messages.Trusted:
        self.asked.append(("host key", address, port, key))
        return messages.Trusted(session="", ask=0, trusted=self.trusts, reason="" if self.trusts else "its key is unknown")

    async def want_credential(self, way: Relayed) -> messages.CredentialAnswer:
        self.asked.append(("credential", way))
        return self.credential or messages.CredentialAnswer(session="", ask=0)

    async def want_signature(self, public_key: str, algorithm: str, data: bytes) -> bytes:
        self.asked.append(("signature", public_key, algorithm))
        return self.signer(public_key, algorithm, data) if self.signer else b""

    async def want_approval(self, channel: int, kind: str, detail: str) -> messages.Approval:
        self.asked.append(("approval", channel, kind, detail))
        approved = self.approves if isinstance(self.approves, bool) else await self.approves
        return messages.Approval(session="", ask=0, approved=approved)

    def connected(self, *facts: Any) -> None:
        self.link = facts

    def happened(self, event: str, facts: Mapping[str, Any]) -> None:
        self.events.append((event, dict(facts)))


def algorithm_of(key: bytes) -> str:
    """The name at the beginning of a key."""
    return key[4 : 4 + int.from_bytes(key[:4], "big")].decode()


def _base64(data: bytes) -> bytes:
    import base64

    return base64.b64encode(data)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@dataclass
class FakeObserver:
    """Notes everything. ``keep``: whether data is kept; else it is only counted."""

    keep: bool = True
    flow: Flow | None = None
    noted: list[tuple[Any, ...]] = field(default_factory=list)
    sizes: dict[tuple[int, bool], int] = field(default_factory=dict)
    is_ready: asyncio.Future[None] | None = None
    outcome: tuple[str, str] | None = None
    on_data: Callable[[int, bool, bytes], None] | None = None

    def begin(self, flow: Flow) -> None:
        self.flow = flow

    async def ready(self) -> None:
        if self.is_ready is not None:
            await self.is_ready
        self.noted.append(("ready",))

    def facts(self, content: Mapping[str, Any]) -> None:
        self.noted.append(("facts", dict(content)))

    def opened(self, channel: int, kind: str, verdict: str, rule: ChannelRule | None, facts: Mapping[str, Any]) -> None:
        self.noted.append(("opened", channel, kind, verdict, None if rule is None else rule.channel.value, dict(facts)))

    def requested(self, channel: int, down: bool, request: str, facts: Mapping[str, Any]) -> None:
        self.noted.append(("requested", channel, down, request, dict(facts)))

    def data(self, channel: int, down: bool, stream: int, data: memoryview) -> None:
        self.sizes[channel, down] = self.sizes.get((channel, down), 0) + len(data)
        if self.keep:
            self.noted.append(("data", channel, down, stream, bytes(data)))
        if self.on_data is not None:
            self.on_data(channel, down, bytes(data))

    def eof(self, channel: int, down: bool) -> None:
        self.noted.append(("eof", channel, down))

    def closed(self, channel: int) -> None:
        self.noted.append(("closed", channel))

    async def end(self, verdict: str, reason: str) -> None:
        self.outcome = (verdict, reason)

    def seen(self, kind: str) -> list[tuple[Any, ...]]:
        """What was noted of one kind."""
        return [entry for entry in self.noted if entry[0] == kind]

    def content(self, channel: int, down: bool, stream: int = 0) -> bytes:
        """The data of a channel."""
        return b"".join(entry[4] for entry in self.seen("data") if entry[1:4] == (channel, down, stream))


@dataclass
class Served:
    """A session that was served."""

    session: SshSession
    control: FakeControl
    observer: FakeObserver
    outcome: Outcome | None = None


class Gateway:
    """A listener in a thread of its own. ``make_control`` makes the control of each session."""

    def __init__(
        self,
        make_control: Callable[[], FakeControl],
        *,
        host_keys: tuple[bytes, ...] = (),
        make_observer: Callable[[], FakeObserver] = FakeObserver,
    ) -> None:
        self._make_control = make_control
        self._make_observer = make_observer
        self._host_keys = host_keys or (HOST_KEY.export_private_key(),)
        self._sock = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self._sock.getsockname()[1]
        self.served: list[Served] = []
        self._reason = ""
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def run(self) -> None:
        """Serve in this thread until it is stopped."""
        asyncio.set_event_loop(self.loop)
        self._sock.setblocking(False)
        self.loop.add_reader(self._sock.fileno(), self._accept)
        self.loop.run_forever()
        self.loop.remove_reader(self._sock.fileno())
        for served in self.served:
            served.session.terminate("The test is over")
        if tasks := set(self._tasks):
            self.loop.run_until_complete(asyncio.wait(tasks))
        for served in self.served:
            served.session.abort()
        self._sock.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def _refuse(self, sock: socket.socket) -> None:
        with sock:
            sock.setblocking(False)
            await SshProtocols().refuse(sock, self._reason)

    def _accept(self) -> None:
        sock, address = self._sock.accept()
        if self._reason:
            self._keep(self._refuse(sock))
            return
        control, observer = self._make_control(), self._make_observer()
        begin = messages.Begin(
            session="A" * 22,
            number=1,
            began=0.0,
            client=address,
            local=("127.0.0.1", self.port),
            rules=control.rules,
            host_keys=tuple(messages.GatewayHostKey(private=key) for key in self._host_keys),
        )
        served = Served(SshSession(sock, begin, control, observer), control, observer)
        self.served.append(served)
        self._keep(self._serve(served))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, served: Served) -> None:
        served.outcome = await served.session.run()

    @contextmanager
    def refusing(self, reason: str) -> Iterator[None]:
        """Let nobody in for a while."""
        self._reason = reason
        yield
        self._reason = ""

    def call(self, function: Callable[[], Any]) -> Any:
        """Call something in the thread of the listener."""
        done: Any = asyncio.run_coroutine_threadsafe(_call(function), self.loop)
        return done.result()


async def _call(function: Callable[[], Any]) -> Any:
    return function()
