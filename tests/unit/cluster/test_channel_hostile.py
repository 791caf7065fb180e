"""The listener under fire: machines in the middle, swapped certificates, garbage at every level, slow and greedy clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from psutil import Process

from doorward.cluster import channel as channel_module
from doorward.cluster import connection as connection_module
from doorward.cluster import server as server_module
from doorward.cluster.client import CentralClient, pair
from doorward.cluster.connection import ChannelConnection, ChannelError, Way, connected
from doorward.cluster.keys import NodeKey
from doorward.cluster.keys import replace as replace_key
from doorward.cluster.pins import client_context, unverified_context
from doorward.listening.http import service as service_module
from tests.support.channel import VERSION, Handlers, Node, Running, in_the_middle, running
from tests.support.pki import Authority
from tests.support.server import until
from tests.support.waiting import PATIENCE


@pytest.fixture(scope="module")
def central(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("centre")) as found:
        yield found


@pytest.fixture(scope="module")
def node(central: Running, tmp_path_factory: pytest.TempPathFactory) -> Node:
    found = Node.new(tmp_path_factory.mktemp("node"))
    central.channel.trust([found.peer("managed-host")])
    return found


@pytest.fixture(autouse=True)
def sound(central: Running, node: Node) -> Iterator[None]:
    """Whatever a test does to it, the channel serves its peers afterwards."""
    yield
    asking = CentralClient(node.key, central.node.peer(), central.way)
    assert asking.hello()["you"] == str(node.id)
    asking.close()


def as_node(central: Running, node: Node) -> ssl.SSLSocket:
    """A raw connection with the pinned certificate."""
    raw = socket.create_connection(central.at, 10)
    return client_context(node.key, central.node.key.certificate).wrap_socket(raw)


def as_anyone(central: Running, source: str = "127.0.0.1") -> ssl.SSLSocket:
    return unverified_context().wrap_socket(socket.create_connection(central.at, 10, (source, 0)))


def rest(sock: socket.socket) -> bytes:
    """Everything until the other side ends."""
    data = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := sock.recv(65536):
            data += piece
    return data


# Somebody in the middle


def test_pairing_through_somebody_in_the_middle_pins_nothing(central: Running, tmp_path: Path) -> None:
    joining, middle = Node.new(tmp_path), Node.new(tmp_path)
    psk = central.handlers.accept(joining)
    with in_the_middle(central.at, middle.key) as way, pytest.raises(ChannelError) as refused:
        pair(way, joining.key, node_id=joining.id, psk=psk, version=VERSION, address="127.0.0.2")
    assert refused.value.code == "not_accepted"
    assert central.handlers.paired == {}
    assert central.handlers.differs == [joining.id]
    direct = pair(central.way, joining.key, node_id=joining.id, psk=psk, version=VERSION, address="127.0.0.2")
    assert direct.certificate == central.node.key.certificate


def test_pinned_calls_do_not_pass_somebody_in_the_middle(central: Running, node: Node, tmp_path: Path) -> None:
    reports = len(central.handlers.reports)
    with in_the_middle(central.at, Node.new(tmp_path).key) as way:
        asking = CentralClient(node.key, central.node.peer(), way)
        with pytest.raises(ChannelError) as refused:
            asking.status({"secret": 1})
        asking.close()
    assert refused.value.code == "pin_mismatch"
    assert len(central.handlers.reports) == reports


# Certificates that are not the pinned ones


END = b"-----END PRIVATE KEY-----\n"


def private(node: Node) -> tuple[bytes, Any]:
    """The private key of a node, in PEM and in use."""
    pem = node.key.pem.partition(END)[0] + END
    return pem, load_pem_private_key(pem, None)


def signed(node: Node, key: Any, serial: int, day: datetime | None = None) -> bytes:
    """A certificate (PEM) with the names of a node, signed with its key, for another key or another day."""
    pinned = x509.load_der_x509_certificate(node.key.certificate)
    made = (
        x509.CertificateBuilder().subject_name(pinned.subject).issuer_name(pinned.subject).public_key(key)
        .serial_number(serial).not_valid_before(day or pinned.not_valid_before_utc)
        .not_valid_after(day + timedelta(days=1) if day else pinned.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private(node)[1], SHA256())
    )  # fmt: skip
    return made.public_bytes(Encoding.PEM)


def other_certificates(node: Node, directory: Path) -> dict[str, Path]:
    """Files with key and certificate."""
    identity = Authority().identity(str(node.id))
    own_pem, own = private(node)
    new = ec.generate_private_key(ec.SECP256R1())
    new_pem = new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    texts = {
        "another key under the same name": NodeKey.at(directory, str(node.id)).pem,
        "of an authority": (identity.private_key + identity.certificate).encode(),
        "issued by the pinned key": new_pem + signed(node, new.public_key(), 1) + node.key.pem.partition(END)[2],
        "the pinned key in another certificate": own_pem + signed(node, own.public_key(), 2),
    }
    files = {name: directory / f"{number}.pem" for number, name in enumerate(texts)}
    for name, file in files.items():
        file.write_bytes(texts[name])
    return files


def test_certificates_like_the_pinned_one_open_nothing(central: Running, node: Node, tmp_path: Path) -> None:
    asked = len(central.handlers.asked)
    for name, file in other_certificates(node, tmp_path).items():
        context = unverified_context()
        context.load_cert_chain(file)
        with context.wrap_socket(socket.create_connection(central.at, 10)) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(b"GET /cluster/v1/head HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = rest(sock)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 403 "), name
    assert len(central.handlers.asked) == asked


def test_dates_of_pinned_certificates_play_no_part(tmp_path: Path) -> None:
    for day in (datetime(2001, 1, 1, tzinfo=UTC), datetime(2199, 1, 1, tzinfo=UTC)):
        node = Node.new(tmp_path)
        pem, key = private(node)
        other = Node(replace_key(node.key.path.parent.parent, pem + signed(node, key.public_key(), 3, day)), node.id)
        with running(tmp_path) as central:
            central.channel.trust([other.peer()])
            asking = CentralClient(other.key, central.node.peer(), central.way)
            assert asking.hello()["you"] == str(node.id)
            asking.close()


def test_older_tls_is_refused(central: Running) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(central.at, 10) as raw, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(raw)


# Garbage


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\xc3\xbc.invalid", b"..", b"a" * 250])
def test_names_that_a_client_asks_for_play_no_part(central: Running, name: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    command = [b"openssl", b"s_client", b"-connect", b"%b:%d" % (central.at[0].encode(), central.at[1]), b"-servername", name]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=PATIENCE, check=False)
    assert b"Cipher is TLS_" in done.stdout
    assert "Traceback" not in capfd.readouterr().err


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=400))
@example(b"GET / HTTP/1.1\r\n\r\n")
@example(b"\x16\x03\x01\xff\xff" + bytes(300))
def test_garbage_instead_of_tls_is_refused(central: Running, data: bytes) -> None:
    with socket.create_connection(central.at, 10) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert not rest(sock).startswith(b"HTTP")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=400))
@example(b"GET http://x/cluster/v1/hello HTTP/1.1\r\nHost: x\r\n\r\n")
@example(b"GET /cluster/v1/%ff%00/../hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
@example(b"GET /cluster/v1/hello HTTP/3.0\r\n\r\n")
@example(b"POST /cluster/v1/pair HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
@example(b"POST /cluster/v1/pair HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")
@example(b"GET /cluster/v1/hello HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nxx")
@example(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
def test_garbage_instead_of_http_is_refused(central: Running, data: bytes) -> None:
    with as_anyone(central) as sock:
        sock.sendall(data)
        with contextlib.suppress(OSError):
            sock.unwrap()  # our end; the answer, if any, comes before
    with as_anyone(central) as sock:
        sock.sendall(data + b"\r\n\r\n" + b"\0" * 20_000)
        answer = rest(sock)
    assert answer == b"" or answer[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 405", b"HTTP/1.1 413", b"HTTP/1.1 429"}


def posted(sock: ssl.SSLSocket, path: bytes, body: bytes) -> bytes:
    head = b"POST /cluster/v1/%b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (path, len(body))
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        sock.sendall(head + body)
    return rest(sock)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 15_000,
        b"\xff\xfe",
        b'"\\ud800"',
        b"1" * 100_000,
        b"null",
        b'{"node_id":1}',
    ],
    ids=["empty", "deep", "deep objects", "less deep", "no utf-8", "half a pair", "long number", "null", "another form"],
)
def test_bodies_that_are_none(central: Running, node: Node, body: bytes) -> None:
    central.channel._attempts._times.clear()
    with as_anyone(central) as sock:
        assert posted(sock, b"pair", body)[9:12] in {b"400", b"413", b""}
    with as_node(central, node) as sock:
        expected = {b"413", b""} if len(body) > 64 << 10 else {b"400", b"200"}
        assert posted(sock, b"status", body)[9:12] in expected


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /cluster/v1/hello HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET /cluster/v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"DELETE /cluster/v1/hello HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"GET /cluster/v1/hello HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /cluster/v1/hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"400"),
        (b"POST /cluster/v1/status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
    ids=["good", "no such call", "no such method", "no host", "two hosts", "another coding", "nonsense"],
)
def test_header_names_have_their_usual_capitals(central: Running, node: Node, request_bytes: bytes, status: bytes) -> None:
    with as_node(central, node) as sock:
        sock.sendall(request_bytes.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        head, _, body = rest(sock).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first[9:12] == status
    fields = dict(line.split(b": ", 1) for line in lines)
    assert fields.keys() <= {b"Allow", b"Cache-Control", b"Connection", b"Content-Length", b"Content-Type"}
    assert int(fields[b"Content-Length"]) == len(body)


@pytest.mark.parametrize(
    "head",
    [b"GET /%b HTTP/1.1\r\n" % (b"a" * 20_000), b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4000, b"G" * 40_000],
    ids=["path", "fields", "method"],
)
def test_heads_without_end_are_cut(central: Running, node: Node, head: bytes) -> None:
    with as_node(central, node) as sock:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            sock.sendall(head)
        assert rest(sock)[:12] in {b"", b"HTTP/1.1 400"}


def test_bodies_beyond_the_limit_are_not_read(central: Running, node: Node) -> None:
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    for framing in (
        b"Content-Length: 9999999999\r\n\r\n",
        b"Content-Length: 65537\r\n\r\n",
        b"Content-Length: " + b"9" * 500 + b"\r\n\r\n",
    ):
        with as_node(central, node) as sock:
            sock.sendall(b"POST /cluster/v1/status HTTP/1.1\r\nHost: x\r\n" + framing)
            assert rest(sock)[:12] in {b"HTTP/1.1 413", b"HTTP/1.1 400"}
    with as_node(central, node) as sock:
        sock.sendall(b"POST /cluster/v1/status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        before, sent = Process().memory_info().rss, 0
        with pytest.raises(OSError, match=r"."):  # noqa: PT012 - whichever piece it is that meets the closed connection
            while sent < 256 << 20:  # more than any buffers hold
                sock.sendall(chunk)
                sent += len(chunk)
        assert Process().memory_info().rss - before < 32 << 20


# Slow and many


def test_slow_clients_are_ended_at_each_stage(central: Running, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(central.service, "options", replace(central.service.options, head_seconds=0.2))
    monkeypatch.setattr(channel_module, "REQUEST_SECONDS", 0.2)
    with as_node(central, node) as silent, as_anyone(central) as slow, as_node(central, node) as body:
        slow.sendall(b"POST /cluster/v1/pair HTTP/1.1\r\n")
        body.sendall(b"POST /cluster/v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert rest(silent) == b""
        assert rest(slow) == b""
        assert rest(body).startswith(b"HTTP/1.1 503")


def test_handshakes_that_never_end_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "HANDSHAKE_SECONDS", 0.2)
    with running(tmp_path) as other, socket.create_connection(other.at, 10) as sock:
        sock.sendall(b"\x16\x03\x01")
        rest(sock)


def test_connections_without_certificate_are_few_and_leave_room_for_peers(
    central: Running, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(central.service, "options", replace(central.service.options, head_seconds=60))
    every, one = server_module.MAX_ANONYMOUS, server_module.MAX_OF_ONE
    with contextlib.ExitStack() as stack:
        sources = [f"127.0.1.{number}" for number in range(1, every // one + 1)]
        for source in sources:
            many = [stack.enter_context(as_anyone(central, source)) for _ in range(one + 1)]
            assert rest(many[0]) == b"", "one address has too many"
        until(lambda: central.connections() == every)
        for number in range(1, 6):
            stack.enter_context(as_anyone(central, f"127.0.2.{number}"))
            until(lambda: central.connections() <= every, what="all together are too many")
        asking = CentralClient(node.key, central.node.peer(), central.way)
        assert asking.hello()
        asking.close()
    until(lambda: central.connections() < 5)


def test_many_connections_of_others_do_not_stop_a_pairing(
    central: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether few sources hold many connections or many hold one each, idle or in the middle of a request."""
    monkeypatch.setattr(central.service, "options", replace(central.service.options, head_seconds=60))
    joining = Node.new(tmp_path)
    for sources, of_each, sent in [(8, 8, b""), (64, 1, b""), (8, 8, BEGUN), (64, 1, BEGUN), (100, 2, BEGUN)]:
        with contextlib.ExitStack() as stack:
            for number in range(sources * of_each):
                sock = stack.enter_context(as_anyone(central, f"127.0.3.{number % sources + 1}"))
                with contextlib.suppress(OSError):
                    sock.sendall(sent)
            psk = central.handlers.accept(joining)
            way = Way(central.way.addresses, central.way.port, "127.0.4.1")
            made = pair(way, joining.key, node_id=joining.id, psk=psk, version=VERSION, address="127.0.0.2")
            assert made.certificate == central.node.key.certificate, (sources, of_each, sent)
        until(lambda: central.connections() < 5)
    central.channel._attempts._times.clear()


BEGUN = b"POST /cluster/v1/pair HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


def test_who_has_no_certificate_has_little_time_for_a_body(central: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "PAIR_SECONDS", 0.2)
    with as_anyone(central) as sock:
        sock.sendall(BEGUN)
        assert rest(sock).startswith(b"HTTP/1.1 503")
    central.channel._attempts._times.clear()


async def asked_to_pair(channel: channel_module.ChannelApp, address: str) -> int:
    """The status of the answer to a request to pair that is none, from an address."""
    sent: list[Any] = []
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/cluster/v1/pair",
        "query_string": b"",
        "headers": [],
        "peer": None,
    }
    scope |= {"ending": lambda: False, "client": (address, 1)}

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await channel(scope, receive, send)
    return int(sent[0]["status"])


def test_the_rate_of_attempts_is_that_of_a_source(tmp_path: Path) -> None:
    """Who has a network of IPv6 addresses has one source, not as many as it likes."""
    central = Node.new(tmp_path)
    channel = channel_module.ChannelApp(central.key, Handlers(central))

    async def statuses(*addresses: str) -> list[int]:
        return [await asked_to_pair(channel, address) for address in addresses]

    every = channel_module.ATTEMPTS
    mine = [f"2001:db8:0:1:{number:x}::1" for number in range(every + 1)]
    assert asyncio.run(statuses(*mine)) == [400] * every + [429]
    assert asyncio.run(statuses("2001:db8:0:2::1", "192.0.2.1")) == [400, 400]
    assert asyncio.run(statuses(*(f"::ffff:192.0.2.{9}" for _ in range(every)), "192.0.2.9")) == [400] * every + [429]


def test_one_node_takes_no_room_from_the_others(
    central: Running, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(central.service, "options", replace(central.service.options, head_seconds=60))
    other = Node.new(tmp_path)
    central.channel.trust([node.peer("managed-host"), other.peer()])
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(as_node(central, node)) for _ in range(server_module.MAX_OF_ONE + 1)]
        assert rest(many[-1]) == b""
        asking = CentralClient(other.key, central.node.peer(), central.way)
        assert asking.hello()
        asking.close()
    central.channel.trust([node.peer("managed-host")])
    until(lambda: central.connections() < 5)


def test_reader_that_never_reads_holds_its_own_answer_only(central: Running, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(central.handlers, "answer", ["0" * 1000] * 30_000)
    with as_node(central, node) as sock:
        sock.sendall(b"GET /cluster/v1/revision HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: not central.requests(), what="the request to be given up")
        answer = rest(sock)
    assert len(answer) < 30_000_000


def test_clients_do_not_believe_what_is_no_central(tmp_path: Path) -> None:
    """Whatever a server with the right certificate says, it ends in a ChannelError."""
    right, node = Node.new(tmp_path), Node.new(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    right.key.shown_by(context)
    ok, length = b"HTTP/1.1 200 OK\r\n", b"Content-Length: %d\r\n\r\n"
    answers = [
        b"",
        b"\0" * 100,
        ok + b"\r\n{",
        ok + length % 5 + b"{}",
        ok + b"A: " + b"b" * 100_000,
        ok + b"Content-Encoding: gzip\r\n" + length % 2 + b"{}",
        ok + length % 60_000 + b"[" * 60_000,
        b"HTTP/1.1 500 No\r\n" + length % 2 + b"[]",
        b"HTTP/1.1 302 Go\r\nLocation: https://x.invalid/\r\n" + length % 0,
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                raw, _ = listener.accept()
                with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as sock:
                    sock.recv(65536)
                    sock.sendall(ok + length % 2 + b"{}")  # to hello
                    sock.recv(65536)
                    sock.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        for answer in answers:
            asking = CentralClient(node.key, right.peer(), Way(("127.0.0.1",), listener.getsockname()[1]))
            with pytest.raises(ChannelError) as failed:
                asking.head(None, wait=0)
            assert failed.value.code in {"no_answer", "bad_answer"}, answer[:80]
            asking.close()
        thread.join(PATIENCE)


def test_a_central_that_hangs_up_before_the_handshake_has_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python takes such a socket for one that is yet to be connected, and shakes no hands."""
    node = Node.new(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up(sock: socket.socket) -> None:
            raw, _ = listener.accept()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.close()
            with contextlib.suppress(ConnectionResetError):
                sock.recv(1)

        monkeypatch.setattr(connection_module, "_notice_silence", hang_up)
        way = Way(("127.0.0.1",), listener.getsockname()[1])
        with pytest.raises(ChannelError) as failed:
            pair(way, node.key, node_id=node.id, psk="a" * 64, version=VERSION, address="127.0.0.2")
    assert failed.value.code == "no_answer"


def test_a_connection_is_for_the_expected_certificate_alone(central: Running, node: Node, tmp_path: Path) -> None:
    """Even where OpenSSL is content, the bytes are compared."""
    with pytest.raises(ChannelError) as failed:
        connected(central.way, unverified_context(), Node.new(tmp_path).key.certificate)
    assert failed.value.code == "pin_mismatch"
    good: ChannelConnection = connected(central.way, unverified_context(), central.node.key.certificate)
    good.close()
