"""The other parties: Caddy's admin API, and etcd's JSON gateway. Both keep what they hold below a folder of ours."""

from __future__ import annotations

import base64
import itertools
import json
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from benchmarks.measure import Connection
from benchmarks.process import Program, free_port

_GRACE_PERIOD = "/config/apps/http/grace_period"
"""A number in Caddy's configuration. With nothing else configured, a change of it costs Caddy as little as one can."""
_TRIES = 10
_HANDLER = "/config/apps/http/servers/answer/routes/0/handle/0"


class Caddy:
    """Caddy with one core's worth of Go, serving its configuration. ``answer_size``: bytes of the answer of ``answer_url``.

    It writes every request to its log unless ``logging`` is off; it keeps changes in a file, unsynced, as it comes.
    """

    def __init__(self, folder: Path, core: int, *, answer_size: int = 0, logging: bool = False) -> None:
        folder.mkdir()
        self.port = free_port()
        self._values = itertools.count(2)
        config: dict[str, Any] = {"admin": {"listen": f"127.0.0.1:{self.port}"}, "apps": {"http": {"grace_period": 1}}}
        if not logging:
            config["logging"] = {"logs": {"default": {"level": "ERROR"}}}
        if answer_size:
            config["apps"]["http"]["servers"] = {"answer": _server(answer_size)}
        file = folder / "caddy.json"
        file.write_text(json.dumps(config))
        environment = {"GOMAXPROCS": "1", "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder), "HOME": str(folder)}
        self._program = Program(["caddy", "run", "--config", str(file)], core, folder / "caddy.log", environment)
        self._program.wait_for(lambda: _answers(self.port, "/config/"))
        self.answer_url = f"http://127.0.0.1:{self.port}{_HANDLER}"

    @property
    def process(self) -> int:
        """The number of the server process."""
        return self._program.process.pid

    def answer(self) -> bytes:
        """Return the answer of ``answer_url``."""
        with closing(Connection(self.port)) as connection:
            return connection.request("GET", _HANDLER).body

    def change(self) -> float:
        """Give a number of the configuration another value; returns the seconds.

        Each change gives Caddy a new admin server, which ends the connections of the old one: connecting is not in the time,
        and a connection that still went to the old server is made again.
        """
        for _ in range(_TRIES):
            value = next(self._values)
            with suppress(ConnectionError), closing(Connection(self.port)) as connection:
                return connection.request("PATCH", _GRACE_PERIOD, value).seconds
        raise RuntimeError(f"Caddy closed {_TRIES} connections without an answer")

    def stop(self) -> None:
        """End the server."""
        self._program.stop()


def _server(answer_size: int) -> dict[str, Any]:
    """Return a server of Caddy's with a handler whose JSON, line feed included, has the size."""
    frame = len('{"body":"","handler":"static_response"}\n')
    handler = {"handler": "static_response", "body": "x" * (answer_size - frame)}
    listen = [f"127.0.0.1:{free_port()}"]
    return {"listen": listen, "automatic_https": {"disable": True}, "routes": [{"handle": [handler]}]}


class Etcd:
    """One member of etcd with one core's worth of Go, every put synced to the disk as it comes."""

    def __init__(self, folder: Path, core: int) -> None:
        folder.mkdir()
        self.port = free_port()
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{free_port()}"
        command = [
            "etcd", "--name", "bench", "--data-dir", str(folder / "data"), "--logger", "zap", "--log-level", "error",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"bench={peer}",
        ]  # fmt: skip
        self._program = Program(command, core, folder / "etcd.log", {"GOMAXPROCS": "1"})
        self._program.wait_for(lambda: _answers(self.port, "/health"))

    def connection(self) -> Connection:
        """Return a connection to the JSON gateway."""
        return Connection(self.port)

    def stop(self) -> None:
        """End the server."""
        self._program.stop()


def put(connection: Connection, key: str, value: Any) -> float:
    """Put a JSON value into etcd; returns the seconds."""
    encoded = base64.b64encode(json.dumps(value).encode()).decode()
    order = {"key": base64.b64encode(key.encode()).decode(), "value": encoded}
    return connection.request("POST", "/v3/kv/put", order).seconds


def _answers(port: int, path: str) -> bool:
    try:
        connection = Connection(port)
    except OSError:
        return False
    try:
        connection.request("GET", path)
    except (OSError, RuntimeError):
        return False
    finally:
        connection.close()
    return True
