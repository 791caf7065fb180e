"""How it is measured: one client for all parties, wrk for throughput, rounds in turns, percentiles and ratios."""

from __future__ import annotations

import json
import os
import socket
import ssl
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httptools
import psutil

_T = TypeVar("_T")
_WRK_SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass
class Reply:
    """An answer; header names in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0

    def json(self) -> Any:
        """Return the body as a JSON value."""
        return json.loads(self.body)


class Connection:
    """A keep-alive HTTP connection to 127.0.0.1 that costs the client as little as possible."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None, certificate: Path | None = None) -> None:
        self._port, self._certificate = port, certificate
        self._head = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self._socket = self._connected()

    def _connected(self) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._certificate is None:
            return plain
        return ssl.create_default_context(cafile=str(self._certificate)).wrap_socket(plain, server_hostname="127.0.0.1")

    def request(self, method: str, target: str, value: Any = None, *, expect: int = 200) -> Reply:
        """Send a request with a JSON body and return the answer, timed. Raises RuntimeError at another status, or OSError."""
        body = b"" if value is None else json.dumps(value, separators=(",", ":")).encode()
        kind = "Content-Type: application/json\r\n" if body else ""
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{self._head}{kind}Content-Length: {len(body)}\r\n\r\n"
        )
        sent = head.encode() + body
        reader = _Reader()
        parser = httptools.HttpResponseParser(reader)
        began = time.perf_counter()
        self._socket.sendall(sent)
        while not reader.whole:
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionResetError(f"{method} {target}: the server closed the connection")
            parser.feed_data(data)
        reader.reply.seconds = time.perf_counter() - began
        reader.reply.status = parser.get_status_code()
        if reader.reply.status != expect:
            raise RuntimeError(f"{method} {target}: {reader.reply.status} {reader.reply.body[:500]!r}")
        return reader.reply

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class _Reader:
    """Takes the pieces of an answer from the parser."""

    def __init__(self) -> None:
        self.reply, self.whole = Reply(), False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.reply.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.reply.body += body

    def on_message_complete(self) -> None:
        self.whole = True


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw: requests a second, and latencies in milliseconds; ``cpu``: seconds of the server for a request."""

    rate: float
    p50: float
    p99: float
    cpu: float = 0.0


def load(
    url: str, seconds: int, headers: Mapping[str, str] | None = None, connections: int = 16, *, server: int | None = None
) -> Load:
    """Ask for a URL over keep-alive connections as fast as it goes. Raises RuntimeError when an answer is not 200.

    ``server`` is the process whose time is told.
    """
    fields = [part for name, value in (headers or {}).items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_WRK_SCRIPT), *fields, url]
    before = _computed(server)
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    computed = _computed(server) - before
    seen = json.loads(printed.strip().splitlines()[-1])
    if seen["failures"]:
        raise RuntimeError(f"{url}: {seen['failures']} of {seen['requests']} requests failed")
    return Load(seen["requests"] / seen["seconds"], seen["p50"], seen["p99"], computed / seen["requests"])


def _computed(process: int | None) -> float:
    """Return the seconds that a process has computed so far, in the kernel too."""
    if process is None:
        return 0.0
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


def synced_writes(folder: Path, count: int) -> list[float]:
    """Return the seconds that 4 KiB take until they are on the disk: what durability costs here, whoever wants it.

    They go into a file that has its size already, as the logs of SQLite and etcd do most of the time.
    """
    block, times = os.urandom(4096), []
    with (folder / "written").open("wb", buffering=0) as file:
        for number in range(2 * count):
            file.seek(number % count * len(block))
            began = time.perf_counter()
            file.write(block)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return times[count:]


def in_turns(parties: Mapping[str, Callable[[], _T]], rounds: int) -> dict[str, list[_T]]:
    """Measure every party once a round, so that what disturbs the machine meets all alike; each round begins with another."""
    names = list(parties)
    results: dict[str, list[_T]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(parties[name]())
    return results


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` (0 to 1) of the values do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, min(len(ranked) - 1, round(share * len(ranked) + 0.5) - 1))]


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of the rounds."""
    return statistics.median(one / other for one, other in zip(mine, theirs, strict=True))


def spread_of_ratios(mine: Sequence[float], theirs: Sequence[float]) -> str:
    """Return the median of the ratios of the rounds, and the least and the greatest of them."""
    ratios = [one / other for one, other in zip(mine, theirs, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def ratio_of_medians(mine: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> float:
    """As ``ratio``, of the medians within the rounds."""
    return ratio([statistics.median(values) for values in mine], [statistics.median(values) for values in theirs])
