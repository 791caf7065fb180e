"""SSH through the engine of a worker, beside a plain TCP relay in Python, OpenSSH's own jump host, a bastion, and none at all.

The bastion is an sshd whose ``ForceCommand`` records the terminal of another ssh by ``script``, as many do it.

All of it runs on the same cores; ratios within a round are what counts, and the processor time of the one in the middle.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
import psutil

from benchmarks.measure import in_turns, percentile, ratio
from benchmarks.processor_time import ProcessorTime, processor_time
from benchmarks.report import Table
from doorward.proxy.ssh.wire.numbers import Message
from tests.support.raw_ssh import RawPeer, channel_request, data
from tests.system.ssh_support import Site, open_site
from tests.system.sshd_support import ACCOUNT, OWNER, Sshd

if TYPE_CHECKING:
    from benchmarks.bench import Bench

MEBIBYTES = 128
KEYS = 300
LOGINS = 5
IDLE = 100
BASTION = "bastion with script"
CIPHERS = ("aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr")
_INNER = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
_CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass
class Party:
    """A way to the target: options of ssh, the port, and the processor time of the one in the middle, or of the server itself."""

    site: Site
    port: int
    time: ProcessorTime
    options: list[str] = field(default_factory=list)

    def ssh(self, *words: str) -> list[str]:
        """A command by ssh."""
        return ["ssh", *self.site.options(self.port), *self.options, f"{ACCOUNT}@127.0.0.1", *words]


def _bulk(party: Party, cipher: str, *, down: bool) -> tuple[float, float]:
    """MB/s of a transfer, and CPU seconds a GiB of the one in the middle."""
    before, began = party.time.seconds(), time.perf_counter()
    if down:
        command = party.ssh("-c", cipher, f"head -c {MEBIBYTES}M /dev/zero")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    else:
        with subprocess.Popen(["head", "-c", f"{MEBIBYTES}M", "/dev/zero"], stdout=subprocess.PIPE) as source:
            subprocess.run(party.ssh("-c", cipher, "cat > /dev/null"), check=True, stdin=source.stdout)
    seconds = time.perf_counter() - began
    return MEBIBYTES * 1.048576 / seconds, (party.time.seconds() - before) * 1024 / MEBIBYTES


@contextmanager
def hops(site: Site) -> Iterator[tuple[Party, Party]]:
    """Start a jump host and a bastion that records, each an sshd of its own: the ways through them."""
    with ExitStack() as stack:
        key = site.directory / "hop" / "home" / "id"
        inner = " ".join(["ssh", "-tt", *(f"-o{one}" for one in _INNER), "-i", str(key), "-p", str(site.sshd.port)])
        recorder = site.directory / "recorder"
        recorder.write_text(f'#!/bin/sh\nexec script -qefc "{inner} {ACCOUNT}@127.0.0.1 $SSH_ORIGINAL_COMMAND" /dev/null\n')
        recorder.chmod(0o755)
        found = []
        for name, settings in (("jump", ""), ("hop", f"ForceCommand {recorder}\n")):
            sshd = Sshd(site.directory / name, [site.public], settings=f"MaxStartups 300\n{settings}").start()
            stack.callback(sshd.stop)
            found.append(Party(site, sshd.port, stack.enter_context(processor_time(_pid(sshd)))))
        shutil.copy(site.private, key)
        os.chown(key, OWNER, OWNER)
        jump, bastion = found
        way = " ".join(["ssh", *site.options(jump.port), "-W", f"127.0.0.1:{site.sshd.port}", f"{ACCOUNT}@127.0.0.1"])
        jump.options, jump.port = ["-o", f"ProxyCommand={way}"], site.sshd.port
        yield jump, bastion


def _pid(sshd: Sshd) -> int:
    assert sshd.process is not None  # noqa: S101 - it was started
    return sshd.process.pid


def _peer(party: Party, key: asyncssh.SSHKey) -> tuple[RawPeer, int]:
    peer = RawPeer.connect(party.port)
    peer.login_by_key(ACCOUNT, key)
    return peer, peer.open_session()


def _typing(party: Party, key: asyncssh.SSHKey) -> list[float]:
    """Milliseconds from a key to its echo."""
    peer, channel = _peer(party, key)
    peer.send(channel_request(channel, "exec", b"\0\0\0\3cat"))
    peer.until(Message.CHANNEL_SUCCESS)
    times = []
    for _ in range(KEYS):
        began = time.perf_counter()
        peer.send(data(channel, b"x"))
        peer.until(Message.CHANNEL_DATA)
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(0.002)
    peer.close()
    return times


def _login(party: Party) -> list[float]:
    """Milliseconds of ``ssh host true``."""
    times = []
    for _ in range(LOGINS):
        began = time.perf_counter()
        subprocess.run(party.ssh("true"), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - began) * 1000)
    return times


def _idle(party: Party, process: psutil.Process, key: asyncssh.SSHKey) -> float:
    """Kilobytes of the one in the middle for each session that does nothing."""
    warm = [_peer(party, key)[0] for _ in range(10)]
    before = process.memory_full_info().uss
    peers = [_peer(party, key)[0] for _ in range(IDLE)]
    taken = process.memory_full_info().uss - before
    for peer in (*warm, *peers):
        peer.close()
    return float(taken) / IDLE / 1000


@contextmanager
def middle(*words: str) -> Iterator[tuple[int, psutil.Process]]:
    """Start one of the other parties: its port and its process."""
    command = [sys.executable, "-m", "benchmarks.ssh_parties", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_CHECKOUT, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        try:
            yield int(process.stdout.readline()), psutil.Process(process.pid)
        finally:
            process.kill()


def ssh_relay(bench: Bench) -> Table:
    """Bulk both ways by three ciphers, keystrokes, logins, and what an idle session takes."""
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
    with open_site(settings="MaxStartups 300\n") as site, ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        key = asyncssh.read_private_key(site.private)
        host_key = Path(folder) / "host_key"
        host_key.write_text(site.sshd.host_key)
        port, process = stack.enter_context(middle("gateway", str(site.sshd.port), str(site.private), str(host_key)))
        gateway = Party(site, port, stack.enter_context(processor_time(process.pid)))
        port, plain = stack.enter_context(middle("tcp", str(site.sshd.port)))
        relay = Party(site, port, stack.enter_context(processor_time(plain.pid)))
        jump, bastion = stack.enter_context(hops(site))
        parties = {
            "direct": Party(site, site.sshd.port, stack.enter_context(processor_time(_pid(site.sshd)))),
            "TCP relay": relay,
            "ssh -J": jump,
            "gateway": gateway,
        }
        rows: list[dict[str, Any]] = []
        for cipher in CIPHERS:
            for down in (True, False):
                # A terminal carries text alone: nothing goes up through the bastion.
                through = {**parties, BASTION: bastion} if down else parties
                measured = in_turns(
                    {name: _turn(_bulk, party, cipher, down=down) for name, party in through.items()}, bench.effort.rounds
                )
                rows += _rows(f"{cipher.split('@')[0]} {'down' if down else 'up'}, MB/s", measured)
        few = {name: party for name, party in parties.items() if name != "ssh -J"} | {BASTION: bastion}
        typed = in_turns({name: _turn(_typing, party, key) for name, party in few.items()}, bench.effort.rounds)
        for name, times in typed.items():
            every = [one for turn in times for one in turn]
            rows.append(_row("key to echo, ms", name, statistics.median(every), p99=percentile(every, 0.99)))
        every_way = {**parties, BASTION: bastion}
        logins = in_turns({name: _turn(_login, party) for name, party in every_way.items()}, bench.effort.rounds)
        for name, times in logins.items():
            rows.append(_row("login and exec, ms", name, statistics.median(one for turn in times for one in turn)))
        rows.append(_row("idle session, kB", "gateway", _idle(gateway, process, key)))
    load = " ".join(f"{figure:.1f}" for figure in os.getloadavg())
    return Table("ssh_relay", f"SSH through the engine of a worker; load at the end {load}", rows)


def _turn(function: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], Any]:
    return lambda: function(*arguments, **options)


def _row(what: str, party: str, value: float, **more: float | str) -> dict[str, Any]:
    return {
        "what": what,
        "party": party,
        "median": value,
        "to direct": "",
        "to TCP relay": "",
        "CPU s/GiB": "",
        "p99": "",
        **more,
    }


def _rows(what: str, measured: dict[str, list[tuple[float, float]]]) -> list[dict[str, Any]]:
    rates = {name: [rate for rate, _ in turns] for name, turns in measured.items()}
    rows = []
    for name, turns in measured.items():
        row = _row(what, name, statistics.median(rates[name]))
        row["to direct"] = ratio(rates[name], rates["direct"])
        row["to TCP relay"] = ratio(rates[name], rates["TCP relay"])
        spent = statistics.median(cpu for _, cpu in turns)
        row["CPU s/GiB"] = spent or ""
        rows.append(row)
    return rows
