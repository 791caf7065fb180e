"""Crowds before the login, and noise before and after it: others are served, and nothing grows."""

from __future__ import annotations

import os
import random
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from doorward.proxy import messages
from doorward.proxy.ssh.wire.fields import boolean, string, uint32
from doorward.proxy.ssh.wire.numbers import Message
from tests.support.gateway import FakeControl, Gateway, make_rules
from tests.support.raw_ssh import GoneError, RawPeer, channel_request
from tests.support.server import until
from tests.support.worker_gateway import WorkerGateway
from tests.system.ssh_support import PASSWORD, Site, open_site
from tests.system.sshd_support import ACCOUNT

HERE = f"{ACCOUNT}@127.0.0.1"
CROWD = int(os.environ.get("DOORWARD_CROWD", "200"))
"""How many connect and say nothing; by hand: 5000."""
MAX_WAITING = 48 * 1024
"""Bytes of a worker for each of them."""
ROUNDS = int(os.environ.get("DOORWARD_ROUNDS", "25"))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


def test_a_crowd_before_the_login_keeps_nobody_out(site: Site, tmp_path: Path) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rules = make_rules(gateway_login=True)
    with WorkerGateway(tmp_path, lambda: site.by_key(rules)) as workers, ExitStack() as stack:
        assert site.ssh(workers.port, HERE, "echo warm").stdout == b"warm\n"
        worker = psutil.Process(until(lambda: workers.of(messages.Hello))[0].pid)
        before, began = worker.memory_info().rss, len(workers.controls)
        for number in range(CROWD):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", workers.port)))
            if number % 2:
                client.sendall(b"SSH-2.0-half\r\n")
        until(lambda: len(workers.controls) == began + CROWD)
        assert site.ssh(workers.port, HERE, "echo served").stdout == b"served\n"
        assert worker.memory_info().rss - before < CROWD * MAX_WAITING + (4 << 20)
    # Workers end although nobody of the crowd has gone.


@pytest.fixture(scope="module")
def relay(site: Site) -> Iterator[Gateway]:
    with Gateway(lambda: FakeControl(target=site.target(), rules=make_rules())) as opened:
        yield opened


def outcome(relay: Gateway) -> str:
    """How the last session ended; whatever a client says, it is never by an error of ours."""
    served = relay.served[-1]
    until(lambda: served.outcome is not None, what="end of the session")
    assert served.outcome is not None
    return served.outcome.reason


def noise(chance: random.Random) -> bytes:
    """A message that could be one, or could not."""
    rest = chance.randbytes(chance.choice((0, 1, 4, 9, 40, 700)))
    match chance.randrange(6):
        case 0:
            return bytes([chance.randrange(1, 256)]) + rest
        case 1:
            kind = chance.choice(("session", "direct-tcpip", "x11", "auth-agent@openssh.com", "tun@openssh.com", "", "\0"))
            sizes = [chance.choice((0, 1, 4096, 0x7FFFFFFF, 0xFFFFFFFF)) for _ in range(3)]
            return bytes([Message.CHANNEL_OPEN]) + string(kind) + b"".join(map(uint32, sizes)) + rest
        case 2:
            name = chance.choice(
                ("pty-req", "exec", "shell", "subsystem", "window-change", "env", "signal", "break", "exit-status")
            )
            return channel_request(chance.choice((0, 1, 7, 0xFFFFFFFF)), name, rest, reply=bool(chance.randrange(2)))
        case 3:
            name = chance.choice(("tcpip-forward", "keepalive@openssh.com", "hostkeys-prove-00@openssh.com", "nothing"))
            return bytes([Message.GLOBAL_REQUEST]) + string(name) + boolean(True) + rest
        case 4:
            number = chance.choice((Message.CHANNEL_DATA, Message.CHANNEL_EXTENDED_DATA, Message.CHANNEL_WINDOW_ADJUST))
            return bytes([number]) + uint32(chance.choice((0, 1, 9))) + rest
        case _:
            number = chance.choice((Message.CHANNEL_CLOSE, Message.CHANNEL_EOF, Message.CHANNEL_SUCCESS, Message.REQUEST_FAILURE))
            return bytes([number]) + (uint32(chance.choice((0, 1, 9))) if chance.randrange(3) else rest)


@pytest.mark.parametrize("after", ["the identification", "the keys", "the login"])
def test_noise_ends_its_own_session_at_most(site: Site, relay: Gateway, after: str) -> None:
    for seed in range(ROUNDS):
        chance = random.Random(f"{after} {seed}")  # noqa: S311 - no secret: a run is to be repeated by its seed
        peer = RawPeer.connect(relay.port)
        with suppress(GoneError, OSError):
            if after == "the identification":
                peer.sock.sendall(chance.randbytes(chance.choice((1, 5, 16, 64, 5000))))
            else:
                if after == "the keys":
                    peer.exchange()
                else:
                    peer.login(ACCOUNT, PASSWORD)
                    if chance.randrange(2):
                        peer.open_session()
                peer.send(*(noise(chance) for _ in range(chance.randrange(1, 12))))
        peer.close()
        assert "Internal" not in outcome(relay), seed
    peer = RawPeer.connect(relay.port)
    peer.login(ACCOUNT, PASSWORD)
    channel = peer.open_session()
    peer.send(channel_request(channel, "exec", string("exit 3"), reply=False))
    peer.until(Message.CHANNEL_CLOSE)
    peer.close()
