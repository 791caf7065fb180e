"""curl as a user has it: a real process, a cookie jar, the certificate of the server."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.server import PASSWORD, Server
from tests.support.waiting import PATIENCE

NTP = "/api/configuration/datetime/ntp_servers"
ZONE = "/api/configuration/datetime/timezone"


@dataclass(frozen=True)
class Reply:
    """An answer as curl wrote it down."""

    status: int
    head: str
    text: str

    @property
    def json(self) -> Any:
        """The body as a JSON value."""
        return json.loads(self.text)

    @property
    def body(self) -> Any:
        """The member ``body`` of a good answer."""
        assert self.status in {200, 201}, self.text
        return self.json["body"]

    @property
    def error(self) -> Any:
        """The error of a bad one."""
        assert set(self.json) == {"error", "meta"}, self.text
        return self.json["error"]


class Curl:
    """One user: every call is a process, the cookie jar is what they share."""

    def __init__(self, server: Server, directory: Path, name: str = "jar") -> None:
        assert shutil.which("curl"), "curl not found: install the Debian package curl"
        self._server, self._jar, self._head = server, directory / name, directory / f"{name}.head"

    def __call__(self, method: str, path: str, data: Any = None, *options: str) -> Reply:
        """Send a request; ``data`` is a JSON value."""
        sent = [] if data is None else ["-H", "Content-Type: application/json", "-d", json.dumps(data)]
        if data is None and method in {"POST", "PUT"}:
            sent = ["-d", ""]
        command = [
            "curl", "-sS", "--cacert", str(self._server.certificate), "-b", str(self._jar), "-c", str(self._jar),
            "-D", str(self._head), "-w", "\n%{http_code}", "-X", method, *sent, *options, self._server.url + path,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        text, _, status = done.stdout.rpartition("\n")
        return Reply(int(status), self._head.read_text(), text)

    def log_in(self) -> Reply:
        """Log in as admin."""
        return self("GET", "/api/authentication", None, "--basic", "--user", f"admin:{PASSWORD}")

    def get(self, path: str) -> Any:
        """The body of a resource."""
        return self("GET", path).body

    def commit(self, **order: Any) -> Reply:
        """Commit."""
        return self("PUT", "/api/transaction", {"status": "commit", **order})

    def issues(self) -> Any:
        """What is wrong by the health page."""
        return self("GET", "/api/health_status").json["health_status"]["issues"]


def ip(*addresses: str) -> list[dict[str, str]]:
    """Time servers by address."""
    return [{"selection": "ip", "value": address} for address in addresses]
