"""Control, workers, recording and catalogue together, between real OpenSSH clients and a real sshd."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from doorward.access.authentication import Authenticator
from doorward.access.guard import Guard
from doorward.configuration.aaa import settings
from doorward.proxy.control.control import ProxyControl, Surroundings
from doorward.proxy.supervisor.ending import stop
from doorward.proxy.worker.places import Places
from doorward.recording.journal import SUFFIX
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.host_keys import TrustedHostKeys
from tests.support.ports import free_port
from tests.system.backup_support import open_directory
from tests.system.sshd_support import ACCOUNT, Sshd, key_pair
from tests.unit.proxy.control.site import ALICE_PASSWORD, Bus, configured, eventually
from tests.unit.transaction.rig import Rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path


@dataclass
class Gateway:
    """A gateway on ``port`` in front of a target."""

    rig: Rig
    sshd: Sshd
    port: int
    places: Places
    catalogue: SqliteCatalogue
    bus: Bus
    identity: Path
    trusted: str
    control: ProxyControl | None = None

    @property
    def user(self) -> str:
        return f"gu=alice@{ACCOUNT}@127.0.0.1:{self.sshd.port}"

    def command(self, *words: str) -> list[str]:
        options = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        options += ["-i", str(self.identity), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-p", str(self.port)]
        return ["ssh", *options, "-l", self.user, "127.0.0.1", *words]

    async def ssh(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(self.command(*words), capture_output=True, text=True, check=False, **options)

        return await asyncio.to_thread(run)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ProxyControl]:
        """Be control, listening."""
        rig = self.rig
        running = lambda: rig.pipeline.running  # noqa: E731
        keys = TrustedHostKeys(rig.store)
        if self.trusted:
            keys.add("127.0.0.1", self.sshd.port, self.trusted, "test")
        guard = Guard(lambda: rig.pipeline.running.snapshot.read(settings.NODE).bruteforce_protection)
        given = Surroundings(
            running, rig.secrets.text, Authenticator(running, rig.secrets.text).check, guard, self.catalogue, keys, self.bus,
            self.places, "node-1",
        )  # fmt: skip
        control = self.control = ProxyControl(given)
        control.start()
        tasks: set[asyncio.Task[None]] = set()
        listening = socket.create_server(("127.0.0.1", self.port))
        listening.setblocking(False)

        async def accept() -> None:
            loop = asyncio.get_running_loop()
            while True:
                client, peer = await loop.sock_accept(listening)
                task = asyncio.create_task(control.acceptor.serve(client, peer))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        accepting = asyncio.create_task(accept())
        try:
            await eventually(lambda: len(control.workers))
            yield control
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
            listening.close()
            await control.stop()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with open_directory("control") as directory:
        yield from _gateway(directory)


def _gateway(tmp_path: Path) -> Iterator[Gateway]:
    (tmp_path / "state").mkdir()
    rig = Rig(tmp_path / "state").started()
    stored, stored_public = key_pair(tmp_path, "stored")
    _, public = key_pair(tmp_path, "alice")
    sshd = Sshd(tmp_path / "sshd", [stored_public]).start()
    port = free_port()

    def more(candidate: Any) -> dict[str, Any]:
        key = rig.post(candidate, "private_keys", {"private_key": stored})
        return {"authentication": {"relayed": [{"selection": "private_key", "key": key}]}}

    lines = [{"domain": {"selection": "address", "value": "127.0.0.1/32"}, "port": None}]
    configured(
        rig,
        user={"public_keys": [public]},
        connection={
            "network": {"clients": ["0.0.0.0/0"], "ports": [port], "targets": ["127.0.0.1/32"]},
            "server_address": {"selection": "inband", "domains": lines},
        },
        more=more,
    )
    places = Places.of(tmp_path / "state")
    places.prepare()
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "doorward.proxy.supervisor", "--workers", "1", "--state", str(tmp_path / "state")]
    )
    catalogue = SqliteCatalogue(tmp_path / "state" / "sessions.db")
    yield Gateway(rig, sshd, port, places, catalogue, Bus(), tmp_path / "alice", sshd.host_key)
    stop(places)
    supervisor.wait()
    catalogue.close()
    sshd.stop()
    rig.close()


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(240):
            await scenario()

    asyncio.run(main())


def test_a_session_from_login_to_row(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.running() as control:
            done = await gateway.ssh("id -u; exit 7")
            assert (done.stdout.strip(), done.returncode) == (str(64123), 7), done.stderr
            await eventually(lambda: not len(control.sessions))
        assert not gateway.catalogue.open_sessions()
        [key] = [path.stem for path in gateway.places.trails.glob(f"*{SUFFIX}")]
        row = gateway.catalogue.session(key)
        assert row is not None
        assert (row.gateway_user, row.server_user, row.verdict, row.number) == ("alice", ACCOUNT, "ACCEPT", 1)
        assert (row.server.ip, row.server.port, row.auth_method) == ("127.0.0.1", gateway.sshd.port, "public_key")
        kinds = gateway.bus.kinds()
        assert [kind for kind in kinds if kind.startswith("session")] == ["session_started", "session_ended"]
        assert {"gw_auth_success", "auth_success"} <= set(kinds)

    play(scenario)


def test_a_server_with_another_key_gets_nothing(gateway: Gateway) -> None:
    gateway.trusted = ""

    async def scenario() -> None:
        async with gateway.running():
            done = await gateway.ssh("id")
            assert done.returncode == 255
            assert "ssh_host_key_mismatch" in gateway.bus.kinds()
        assert "Accepted" not in (gateway.sshd.directory / "log").read_text()

    play(scenario)


def test_a_session_outlives_control_and_is_ended_by_the_next_one(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.running() as control:
            process = await asyncio.create_subprocess_exec(
                *gateway.command("cat"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"one\n")
            assert await process.stdout.readline() == b"one\n"
            [session] = control.sessions.live()
        process.stdin.write(b"two\n")
        assert await process.stdout.readline() == b"two\n"
        async with gateway.running() as control:
            await eventually(control.sessions.live)
            [found] = control.sessions.live()
            assert (found.key, found.person.name) == (session.key, "alice")
            process.stdin.write(b"three\n")
            assert await process.stdout.readline() == b"three\n"
            await control.live.end(found.key, "enough", "admin")
            assert await process.wait() != 0
            await eventually(lambda: not len(control.sessions))
        row = gateway.catalogue.session(session.key)
        assert row is not None
        assert (row.verdict, row.reason) == ("TERMINATED", "Ended by admin: enough")

    play(scenario)


def test_a_worker_that_is_killed_leaves_a_closed_row(gateway: Gateway) -> None:
    async def scenario() -> None:
        async with gateway.running() as control:
            process = await asyncio.create_subprocess_exec(
                *gateway.command("cat"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"one\n")
            assert await process.stdout.readline() == b"one\n"
            [session] = control.sessions.live()
            assert session.worker is not None
            os.kill(session.worker.pid, 9)
            assert await process.wait() != 0
            await eventually(lambda: gateway.catalogue.session(session.key).ended is not None)  # type: ignore[union-attr]
            row = gateway.catalogue.session(session.key)
            assert row is not None
            assert row.verdict == "FAIL"
            await eventually(lambda: len(control.workers))
            assert (await gateway.ssh("echo again")).stdout == "again\n"

    play(scenario)


def test_a_wrong_password_is_wrong(gateway: Gateway, tmp_path: Path) -> None:
    ask = tmp_path / "ask"
    ask.write_text("#!/bin/sh\necho wrong\n")
    ask.chmod(0o755)

    async def scenario() -> None:
        async with gateway.running():
            for words, code in (("wrong", 255), (ALICE_PASSWORD, 0)):
                ask.write_text(f"#!/bin/sh\necho '{words}'\n")
                command = [word for word in gateway.command("true") if word != "BatchMode=yes"]
                command = ["ssh", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1", *command[1:]]
                command = [*command[: command.index("-p") - 1], *command[command.index("-p") :]]
                environment = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
                done = await asyncio.to_thread(subprocess.run, command, capture_output=True, env=environment, check=False)
                assert done.returncode == code, done.stderr
            assert "gw_auth_failure" in gateway.bus.kinds()

    play(scenario)
