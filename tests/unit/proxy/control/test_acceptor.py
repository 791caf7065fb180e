from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest

from doorward.proxy import messages
from doorward.proxy.control import acceptor, refusing, workers
from doorward.proxy.control.refusing import IDENTIFICATION, packet
from doorward.proxy.control.session import KEY_LENGTH, new_key
from tests.unit.proxy.control.site import CLIENT, PORT, Addressed, Site, configured, ended, eventually, play

if TYPE_CHECKING:
    from tests.unit.transaction.rig import Rig


async def heard(client: socket.socket) -> bytes:
    """What a client hears until the connection ends."""
    client.setblocking(False)
    client.shutdown(socket.SHUT_WR)
    found = b""
    while piece := await asyncio.get_running_loop().sock_recv(client, 4096):
        found += piece
    return found


def test_a_key_is_made_of_letters_and_digits_and_is_never_the_same() -> None:
    made = {new_key() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(key) == KEY_LENGTH and key.isalnum() and key.isascii() and key[0].isalpha() for key in made)


def test_the_socket_goes_to_the_worker_with_the_fewest_sessions(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        workers = [await site.worker("w1"), await site.worker("w2")]
        for _ in range(4):
            await site.connect()
        begun = [[await worker.receive(messages.Begin) for _ in range(2)] for worker in workers]
        [first, *_] = [begin for pair in begun for begin in pair]
        assert first.rules.policy == "linux"
        assert first.local == ("127.0.0.1", PORT)
        assert b"OPENSSH PRIVATE KEY" in first.host_keys[0].private
        assert sorted(begin.number for pair in begun for begin in pair) == [1, 2, 3, 4]
        for worker in workers:
            for descriptor in worker.clients:
                os.write(descriptor, b"hello")
                os.close(descriptor)
        assert [client.recv(5) for client in site._clients[1::2]] == [b"hello"] * 4

    play(rig, scenario)


def test_a_connection_for_no_policy_is_closed_without_a_word(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        await site.worker()
        client = await site.connect(local=("127.0.0.1", PORT + 1))
        assert await heard(client) == b""
        assert site.bus.details("connection_denied")["reason"] == "no_policy"
        assert site.control.figures().refused == {"no_policy": 1}

    play(rig, scenario)


@pytest.mark.parametrize("reason", ["no_worker", "sessions", "per_address", "stopping", "catalogue", "disk"])
def test_a_refused_client_is_told_in_ssh_s_words(rig: Rig, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "WORKER_SECONDS", 0.05)
    configured(rig)
    if reason in {"sessions", "per_address"}:
        body = dict(rig.value("ssh/options"))
        body["limits"] = {"sessions": 1 if reason == "sessions" else 9, "per_address": 9 if reason == "sessions" else 1}
        rig.committed(("ssh/options", body))
    if reason == "disk":
        rig.committed(
            ("management/disk_fillup_prevention", {"archiving_enabled": False, "enabled": True, "used_space_ratio_limit": 1})
        )

    async def scenario(site: Site) -> None:
        if reason != "no_worker":
            await site.worker()
        if reason in {"sessions", "per_address"}:
            await site.connect()
        site.control.admission.is_stopping = reason == "stopping"
        site.catalogue.is_full = reason == "catalogue"
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        task = asyncio.create_task(site.control.acceptor.serve(Addressed(ours), CLIENT))  # type: ignore[arg-type]
        said = await heard(theirs)
        theirs.close()
        await task
        assert said.startswith(IDENTIFICATION)
        assert said[len(IDENTIFICATION) + 5] == 1, "SSH_MSG_DISCONNECT"
        assert site.bus.details("connection_denied")["reason"] == reason
        assert len(site.control.sessions) == (1 if reason in {"sessions", "per_address"} else 0)

    play(rig, scenario)


def test_a_client_waits_for_workers_that_are_started_anew(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        task = asyncio.create_task(site.connect())
        await eventually(lambda: site.control.workers._waiting == 1)
        worker = await site.worker()
        assert (await worker.receive(messages.Begin)).rules.policy == "linux"
        await task

    play(rig, scenario)


def test_nobody_waits_for_workers_of_a_gateway_that_stops(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusing, "SECONDS", 0.1)
    configured(rig)

    async def scenario(site: Site) -> None:
        task = asyncio.create_task(site.connect())
        await eventually(lambda: site.control.workers._waiting == 1)
        await site.control.stop()
        await task
        assert site.bus.details("connection_denied")["reason"] == "stopping"

    play(rig, scenario)


def test_few_wait_for_workers(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MAX_WAITING", 0)
    monkeypatch.setattr(refusing, "SECONDS", 0.1)
    configured(rig)

    async def scenario(site: Site) -> None:
        await site.connect()
        assert site.bus.details("connection_denied")["reason"] == "no_worker"

    play(rig, scenario)


def test_what_a_client_is_told_is_a_packet() -> None:
    for length in range(40):
        made = packet("x" * length)
        assert len(made) % 8 == 0
        assert int.from_bytes(made[:4]) == len(made) - 4
        assert made[4] >= 4


def test_an_ended_session_makes_room(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        worker.say(ended(key))
        await eventually(lambda: not len(site.control.sessions))
        assert not site.catalogue.rows, "nobody came in"

    play(rig, scenario)
