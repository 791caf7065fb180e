"""The names of asyncssh that it does not publish and that key exchange lives on. A new version that moves one is noticed here."""

from __future__ import annotations

import inspect
from typing import Any

import asyncssh
import pytest
from asyncssh import kex, kex_dh, packet, public_key

from doorward.proxy.ssh.legs.exchange import KexComputation, Side
from doorward.proxy.ssh.legs.host_keys import BoundKey, ServerKey
from doorward.proxy.ssh.wire.errors import ExchangeError

KEY = asyncssh.generate_private_key("ssh-ed25519")
EXCHANGES = [name.decode() for name in kex.get_kex_algs() if not name.startswith(b"gss-")]
PREFIX = (b"SSH-2.0-a", b"SSH-2.0-b", b"\x14client", b"\x14server")


def test_handlers_are_made_by_get_kex() -> None:
    assert list(inspect.signature(kex.get_kex).parameters) == ["conn", "alg"]


def test_names_come_from_get_kex_algs() -> None:
    assert "mlkem768x25519-sha256" in EXCHANGES


def test_a_handler_begins_by_start_which_waits_for_nothing() -> None:
    assert inspect.iscoroutinefunction(kex.Kex.start)


def test_a_handler_takes_messages_by_process_packet() -> None:
    assert list(inspect.signature(kex.Kex.process_packet).parameters) == ["self", "pkttype", "pktid", "packet"]


def test_a_handler_makes_keys_by_compute_key() -> None:
    assert list(inspect.signature(kex.Kex.compute_key).parameters) == ["self", "k", "h", "x", "session_id", "keylen"]


def test_a_packet_is_made_of_its_bytes() -> None:
    assert packet.SSHPacket(b"\0\0\0\1x").get_string() == b"x"


def test_certificates_are_validated_by_type_and_name() -> None:
    assert public_key.CERT_TYPE_HOST == 2
    assert list(inspect.signature(public_key.SSHOpenSSHCertificate.validate).parameters) == ["self", "cert_type", "principal"]


def test_handlers_ask_nothing_of_their_connection_that_a_side_has_not() -> None:
    import re

    source = "".join(
        inspect.getsource(getattr(kex_dh, name)) for name in ("_KexDHBase", "_KexDH", "_KexDHGex", "_KexECDH", "_KexHybridECDH")
    )
    asked = set(re.findall(r"\b(?:self\._conn|conn|server_conn|client_conn)\.(\w+)", source + inspect.getsource(kex.Kex)))
    assert asked == {
        "get_hash_prefix", "get_server_host_key", "is_client", "is_server", "logger", "send_newkeys", "send_packet",
        "validate_server_host_key",
    }  # fmt: skip
    assert asked <= set(dir(Side))


def exchanged(name: str, tamper: Any = None) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
    """Run an exchange between two sides; what each got."""
    to_server: list[bytes] = []
    to_client: list[bytes] = []
    client_got: list[tuple[bytes, bytes]] = []
    server_got: list[tuple[bytes, bytes]] = []
    client_side = Side(
        PREFIX, to_server.append, lambda k, h: client_got.append((k, h)), judge=lambda data: ServerKey(data, "ssh-ed25519")
    )
    server_side = Side(PREFIX, to_client.append, lambda k, h: server_got.append((k, h)), host_key=BoundKey(KEY, "ssh-ed25519"))
    client, server = KexComputation(name, client_side), KexComputation(name, server_side)
    server.start()
    client.start()
    while to_server or to_client:
        if to_server:
            server.take(to_server.pop(0))
        if to_client:
            message = to_client.pop(0)
            client.take(tamper(message) if tamper else message)
    return client_got, server_got


@pytest.mark.parametrize(
    "name", [name for name in EXCHANGES if not name.startswith("rsa") and "group17" not in name and "group18" not in name]
)
def test_both_sides_get_the_same(name: str) -> None:
    client, server = exchanged(name)
    assert client == server
    assert len(client) == 1


def test_a_signature_that_is_wrong_ends_the_exchange() -> None:
    with pytest.raises(ExchangeError):
        exchanged("curve25519-sha256", lambda message: message[:-1] + bytes([message[-1] ^ 1]))


def test_a_signature_by_another_algorithm_than_agreed_on_is_none() -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    key = ServerKey(rsa.public_data, "rsa-sha2-512")
    assert key.verify(b"data", rsa.sign(b"data", b"rsa-sha2-512"))
    assert not key.verify(b"data", rsa.sign(b"data", b"ssh-rsa"))


@pytest.mark.parametrize("message", [b"\x1e", b"\x1e\xff\xff\xff\xff", b"\x1f\0\0\0\0", b"\x31", b"\x1e\0\0\0\0"])
def test_nonsense_ends_the_exchange(message: bytes) -> None:
    side = Side(PREFIX, lambda _: None, lambda _k, _h: None, host_key=BoundKey(KEY, "ssh-ed25519"))
    for name in ("curve25519-sha256", "mlkem768x25519-sha256", "diffie-hellman-group14-sha256", "ecdh-sha2-nistp256"):
        with pytest.raises(ExchangeError):
            KexComputation(name, side).take(message)
