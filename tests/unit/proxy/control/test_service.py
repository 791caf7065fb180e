"""A listener of SSH is proven by a key exchange that a worker signs with a configured host key."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncssh
import pytest

from doorward.configuration import private_keys
from doorward.host.errors import HostError
from doorward.host.resources import AccessRule, Listener, ShownHostKey
from doorward.proxy import messages
from doorward.proxy.control.service import SshAdmission
from doorward.proxy.ssh.protocols import SshProtocols
from tests.support.waiting import PATIENCE
from tests.unit.proxy.control.site import Site, configured, play

if TYPE_CHECKING:
    from tests.unit.transaction.rig import Rig

OWN, OTHER = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))


def public(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def listener(*keys: asyncssh.SSHKey) -> Listener:
    shown = tuple(ShownHostKey(public(key), str(index)) for index, key in enumerate(keys))
    return Listener("127.0.0.1", 2222, (AccessRule("ssh"),), host_keys=shown)


@contextmanager
def served(*keys: asyncssh.SSHKey, said: bytes | None = None) -> Iterator[socket.socket]:
    """A client's end of a connection to a worker, or to whoever says something."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)

    async def show() -> None:
        theirs.setblocking(False)
        await SshProtocols().show(theirs, [key.export_private_key() for key in keys])

    def work() -> None:
        with theirs:
            if said is None:
                asyncio.run(show())
            else:
                theirs.sendall(said)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with ours:
            yield ours
    finally:
        thread.join()


def service() -> SshAdmission:
    return SshAdmission(None, lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_a_configured_key_proves_a_listener(kind: str) -> None:
    key = asyncssh.generate_private_key(kind)
    with served(key) as source:
        service().prove(source, listener(OTHER, key))


def test_another_key_proves_nothing() -> None:
    with served(OTHER) as source, pytest.raises(HostError, match="another host key"):
        service().prove(source, listener(OWN))
    with served(OWN) as source, pytest.raises(HostError, match="another host key"):
        service().prove(source, listener())


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 No\r\n\r\n", b"SSH-2.0-Doorward\r\n", b"SSH-2.0-x\r\n\0\0\0\x0cgarbage"])
def test_words_alone_prove_nothing(said: bytes) -> None:
    with served(said=said) as source, pytest.raises((HostError, OSError)):
        service().prove(source, listener(OWN))


def test_a_worker_gets_the_keys_of_the_listener_for_a_proof_and_no_session(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            kept = next(key for key, _ in rig.pipeline.running.snapshot.each(private_keys.NODE))
            keys = (ShownHostKey("x", kept), ShownHostKey("y", "of nobody"))
            await site.control.acceptor.show(theirs, Listener("127.0.0.1", 2222, (AccessRule("ssh"),), host_keys=keys))
            told = await worker.receive(messages.Show)
            assert len(told.host_keys) == 1
            assert b"PRIVATE KEY" in told.host_keys[0].private
            assert not len(site.control.sessions)

    play(rig, scenario)
