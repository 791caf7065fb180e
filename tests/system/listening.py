"""Moves the listeners of a server, and looks at them from outside."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Self

from tests.support.server import Client, Server

SERVICES = "/api/configuration/local_services"
ADMIN_WEB, USER_WEB = f"{SERVICES}/admin_web", f"{SERVICES}/user_web"
CERTIFICATES = "/api/configuration/management/certificates"
NIC = "/api/configuration/network/nics/nic1"
X509 = "/api/configuration/x509"
OPEN = {"enabled": False}


def reachable_at(client: Client, *addresses: str) -> dict[str, str]:
    """Give the one NIC of a sandbox more addresses, in the candidate; keys of references by address, the first one's too."""
    body = client.body(NIC)
    [interface] = body["interfaces"]["@order"]
    found = body["interfaces"][interface]["addresses"]
    known = {found[key]: key for key in found["@order"]}
    for address in addresses:
        if f"{address}/8" not in known:
            known[f"{address}/8"] = key = address.replace(".", "-")
            found["@order"].append(key)
            found[key] = f"{address}/8"
    answer = client.put(NIC, body)
    assert answer.status_code == 200, answer.text
    return {address.partition("/")[0]: f"nic1.interfaces.{interface}.addresses.{key}" for address, key in known.items()}


def web(*lines: tuple[str, int | None, int], allowed_from: list[str] | None = None) -> dict[str, Any]:
    """The body of a web service; a line is key of an address, HTTP port, HTTPS port."""
    restriction = {"allowed_from": allowed_from, "enabled": True} if allowed_from else OPEN
    listen = [{"address": key, "http_port": http, "https_port": https} for key, http, https in lines]
    return {"access_restriction": restriction, "listen": listen}


def written(client: Client, path: str, body: Any) -> Any:
    """PUT that is accepted; the body that is shown then."""
    answer = client.put(path, body)
    assert answer.status_code == 200, answer.text
    return answer.json()["body"]


def committed(client: Client) -> dict[str, Any]:
    """Commit; ``meta`` of the answer."""
    answer = client.commit()
    assert answer.status_code == 200, answer.text
    meta: dict[str, Any] = answer.json()["meta"]
    return meta


class Visit:
    """One connection, by TLS unless ``plain``, from an address of this machine to another."""

    def __init__(
        self, server: Server, address: str, port: int, *, source: str = "127.0.0.1", plain: bool = False, check: bool = True
    ) -> None:
        raw = socket.create_connection((address, port), 20, source_address=(source, 0))
        try:
            if plain:
                self.socket = raw
            else:
                context = ssl.create_default_context(cafile=str(server.certificate))
                if not check:
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                self.socket = context.wrap_socket(raw, server_hostname="localhost")
        except BaseException:
            raw.close()
            raise
        self._http = HTTPConnection(address, port)
        self._http.sock = self.socket

    @property
    def shown(self) -> str:
        """SHA-256 of the server's certificate on this connection."""
        assert isinstance(self.socket, ssl.SSLSocket)
        return hashlib.sha256(self.socket.getpeercert(binary_form=True) or b"").hexdigest()

    def get(self, path: str = "/api/setup", **headers: str) -> HTTPResponse:
        """GET on this connection; the body is left to read."""
        self._http.request("GET", path, headers=headers)
        return self._http.getresponse()

    def status(self, path: str = "/api/setup", **headers: str) -> int:
        """Status of a GET on this connection."""
        answer = self.get(path, **headers)
        answer.read()
        return answer.status

    def json(self, path: str, **headers: str) -> Any:
        """Body of a GET on this connection."""
        return json.loads(self.get(path, **headers).read())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def hung_up(address: str, port: int, source: str) -> bool:
    """Whether a connection is taken and closed at once, before a word of TLS."""
    with socket.create_connection((address, port), 20, source_address=(source, 0)) as raw:
        try:
            return raw.recv(1) == b""
        except ConnectionResetError:
            return True


def refused(address: str, port: int) -> bool:
    """Whether nothing listens there."""
    try:
        socket.create_connection((address, port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


@contextmanager
def hammering(visit: Callable[[], None], workers: int = 2) -> Iterator[list[BaseException]]:
    """Make visits all the time, from several threads; gives what went wrong. There were some before and after the block."""
    failures: list[BaseException] = []
    visits = [0] * workers
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            try:
                visit()
            except BaseException as failure:  # noqa: BLE001 - all of it is looked at
                failures.append(failure)
            visits[number] += 1

    def further() -> None:
        then = [count + 2 for count in visits]
        while any(count < wanted for count, wanted in zip(visits, then, strict=True)):
            stop.wait(0.01)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    try:
        further()
        yield failures
        further()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
