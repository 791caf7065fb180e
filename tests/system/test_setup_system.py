"""First settings of a node on a machine of its own (``--host system``): only with the code that its start has shown."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

from tests.support.namespaces import apart
from tests.support.server import PASSWORD, Client, Server, until
from tests.system.chrony_support import need_chrony
from tests.system.test_network_system import STATE, machine

SETUP = "/api/setup"
ANSWERS: dict[str, Any] = {"accept_eula": True, "administration": {"admin_password": PASSWORD}}


def shown(server: Server) -> str:
    """The code that a start has shown on the terminal."""
    found = until(lambda: re.search(r"header X-Setup-Code: (\S+) ", "".join(server.output)))
    assert isinstance(found, re.Match)
    return str(found[1])


def tried(client: Client, code: str | None) -> tuple[int, str]:
    headers = {} if code is None else {"X-Setup-Code": code}
    answer = client.post(SETUP, ANSWERS, headers=headers)
    return answer.status_code, answer.json()["error"]["type"]


def refused_before_the_body(server: Server) -> bytes:
    """What comes while the server could still await the body."""
    import ssl

    context = ssl.create_default_context(cafile=str(server.certificate))
    context.check_hostname = False
    with socket.create_connection(("192.0.2.5", server.port), 20) as raw, context.wrap_socket(raw) as connection:
        connection.sendall(b"POST /api/setup HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        return connection.recv(100)


@apart
def test_first_settings_need_the_code_of_the_start(tmp_path: Path) -> None:
    need_chrony()
    machine(tmp_path)
    options = ("--host", "system", "--listen", "192.0.2.5:0", "--setup", "wizard")
    server = Server(STATE, options=options, environment={"DOORWARD_ADMIN_PASSWORD": ""}, plain=True).start()
    try:
        earlier, file = shown(server), STATE / "setup-code"
        assert re.fullmatch(r"[A-Z2-7]{20}", earlier)
        assert (file.read_text().strip(), file.stat().st_mode & 0o777) == (earlier, 0o600)
        server.stop()
        server.start()
        code = shown(server)
        assert code != earlier, "each start has its own"
        client = server.client()
        assert client.get(SETUP).json()["status"] == "uninitialized"
        for wrong in (None, "", earlier, code[:-1], f"{code}A", code.lower()):
            assert tried(client, wrong) == (403, "Unauthorized")
        assert refused_before_the_body(server).startswith(b"HTTP/1.1 403 ")
        for _ in range(3):
            assert tried(client, "A" * 20) == (403, "Unauthorized")
        assert tried(client, code) == (429, "TooManyRequests"), "such tries are failed logins"
        server.stop()
        server.start()
        client, code = server.client(), shown(server)
        answer = client.post(SETUP, ANSWERS, headers={"X-Setup-Code": code})
        assert answer.status_code == 303, answer.text
        assert not file.exists(), "it dies with the setup"
        assert tried(client, code) == (409, "Conflict")
        assert server.login().body("/api/user/info")["name"] == "admin"
        said = "".join(server.errors)
        assert code not in said, "the log, which may go elsewhere, does not have it"
    finally:
        server.stop()
