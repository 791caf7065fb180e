"""A network of machines that can be broken: a network namespace for each, joined by a switch that loses frames on demand.

The switch is a thread that reads and writes TAP devices. It cuts one direction or both, and delays, reorders and loses what
remains, which `tc netem` does as well where the kernel has it; many kernels of virtual machines have not.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.support.server import worker
from tests.support.waiting import PATIENCE

_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_CLONE_NEWNET = 0x40000000
_BROADCAST = b"\xff" * 6
_chance = random.Random(7)  # noqa: S311 - the same losses in every run


def enter(pid: int) -> None:
    """Put the calling thread into the network namespace of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{pid}/ns/net").open() as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


@dataclass
class Machine:
    """A namespace with one network card. ``holder`` is a process that does nothing but live in it, None: our own."""

    address: str
    card: int
    holder: subprocess.Popen[bytes] | None

    @property
    def launcher(self) -> tuple[str, ...]:
        """What runs a script here: for ``Server.launcher``."""
        assert self.holder
        return ("-m", "tests.support.in_namespace", str(self.holder.pid))

    def do(self, work: Callable[[], Any]) -> Any:
        """Call something in a thread that sees this machine's network."""
        found: list[Any] = []

        def run() -> None:
            assert self.holder
            enter(self.holder.pid)
            try:
                found.append(work())
            except Exception as error:  # noqa: BLE001 - raised below
                found.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]


@dataclass
class Network:
    """Machines and the switch between them. ``machines[0]`` is the namespace of the test itself.

    ``cuts`` are pairs of machines (from, to) between which nothing passes; ``loss`` is a share of the frames, ``delay`` seconds,
    up to twice as long and so out of order.
    """

    machines: list[Machine] = field(default_factory=list)
    cuts: set[tuple[str, str]] = field(default_factory=set)
    loss: float = 0.0
    delay: float = 0.0
    dropped: int = 0
    _late: list[tuple[float, int, int, bytes]] = field(default_factory=list)
    _where: dict[bytes, int] = field(default_factory=dict)
    _running: bool = True
    _thread: threading.Thread | None = None

    @classmethod
    def of(cls, count: int) -> Self:
        """A network of the test and so many machines."""
        network = cls()
        network._add("254", None)
        for number in range(1, count + 1):
            network._add(str(number), subprocess.Popen(["unshare", "--net", "sleep", "infinity"]))
        network._thread = threading.Thread(target=network._switch, daemon=True)
        network._thread.start()
        return network

    def _add(self, host: str, holder: subprocess.Popen[bytes] | None) -> None:
        name = f"dw{os.getpid() % 10_000}n{host}"
        card = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(card, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TAP | _IFF_NO_PI))
        # Tests that run at the same time are on all of their networks.
        machine = Machine(f"10.77.{worker()}.{host}", card, holder)
        inside: list[str] = []
        if holder is not None:
            own = Path("/proc/self/ns/net").stat().st_ino
            while Path(f"/proc/{holder.pid}/ns/net").stat().st_ino == own:
                time.sleep(0.005)
            inside = ["nsenter", "--net", "--target", str(holder.pid)]
            subprocess.run(["ip", "link", "set", name, "netns", str(holder.pid)], check=True)
            subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        subprocess.run([*inside, "ip", "address", "add", f"{machine.address}/24", "dev", name], check=True)
        subprocess.run([*inside, "ip", "link", "set", name, "up"], check=True)
        self.machines.append(machine)

    def cut(self, one: Machine, other: Machine, *, both: bool = True) -> None:
        """Let nothing pass from one machine to another, and back."""
        self.cuts |= {(one.address, other.address)} | ({(other.address, one.address)} if both else set())

    def heal(self) -> None:
        """Let everything pass, at once."""
        self.cuts, self.loss, self.delay = set(), 0.0, 0.0

    def _switch(self) -> None:
        cards = {machine.card: machine for machine in self.machines}
        count = 0
        while self._running:
            ready, _, _ = select.select(cards, [], [], 0.002 if self._late else 0.05)
            for card in ready:
                frame = os.read(card, 65536)
                target, source = frame[:6], frame[6:12]
                self._where[source] = card
                known = self._where.get(target)
                for other in [known] if known is not None and target != _BROADCAST else cards:
                    if other != card and self._passes(cards[card], cards[other]):
                        count += 1
                        at = time.monotonic() + self.delay * _chance.uniform(1, 2)
                        heapq.heappush(self._late, (at if self.delay else 0.0, count, other, frame))
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, other, frame = heapq.heappop(self._late)
                try:
                    os.write(other, frame)
                except OSError:
                    self.dropped += 1  # the card is not up, or its queue is full

    def _passes(self, source: Machine, target: Machine) -> bool:
        passes = (source.address, target.address) not in self.cuts and _chance.random() >= self.loss
        self.dropped += not passes
        return passes

    def close(self) -> None:
        """Take the network apart."""
        self._running = False
        if self._thread:
            self._thread.join(PATIENCE)
        for machine in self.machines:
            os.close(machine.card)
            if machine.holder:
                machine.holder.kill()
                machine.holder.wait(PATIENCE)
