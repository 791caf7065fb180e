"""Tries what a server that was taken over would try; run in the place of the server, by its own unit, in a machine of a trial.

Prints a JSON object: what it could write and read that is not everybody's, whom it could reach, and which attempts did not fail.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from doorward.host.errors import HostError
from doorward.host.helper import wire
from doorward.host.helper.places import helper_socket
from doorward.host.helper.remote import HelperClient
from doorward.host.plan import Change
from doorward.host.resources import Daemon, File, HostResource, Symlink

_ELSEWHERE = ("/proc", "/sys")
_NEW_USER, _ATTACH = 0x10000000, 16
"""From <linux/sched.h> and <sys/ptrace.h>."""
_FOREIGN: tuple[HostResource, ...] = (
    File("/etc/shadow", b"root::0:0:99999:7:::\n"),
    File("/etc/cron.d/doorward", b"* * * * * root id\n"),
    File("/etc/systemd/system/doorward-host.service", b"[Service]\n"),
    Symlink("/etc/localtime", "/usr/share/zoneinfo/../../../etc/shadow"),
    Daemon("ssh"),
)
_PROGRAMS = (
    "systemctl stop ssh",
    "systemctl daemon-reload",
    "systemctl set-environment TRIED=1",
    "systemd-run --quiet --wait true",
    "hostnamectl set-hostname tried",
    "timedatectl set-timezone Asia/Tokyo",
    "loginctl enable-linger root",
    "su -c true",
    "mount -t tmpfs none /tmp",
    "unshare --user true",
    "ip link set lo down",
    "chronyc makestep",
    "chronyc -h /run/chrony/chronyd.sock makestep",
    "dmesg",
)


def entries(directory: str = "/") -> Iterator[tuple[str, os.stat_result]]:
    """Yield whatever can be found, but for links; below what is ours nothing more."""
    with suppress(OSError), os.scandir(directory) as found:
        for entry in found:
            with suppress(OSError):
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISLNK(facts.st_mode) or entry.path in _ELSEWHERE:
                    continue
                yield entry.path, facts
                if stat.S_ISDIR(facts.st_mode) and facts.st_uid != os.geteuid():
                    yield from entries(entry.path)


def reached(path: str) -> bool:
    """Return whether somebody listens on a socket, to us."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as connection, suppress(OSError):
            connection.settimeout(5)
            connection.connect(path)
            return True
    return False


def found() -> dict[str, list[str]]:
    """Return what of the machine can be written, read though not everybody may, and talked to."""
    told: dict[str, list[str]] = {"written": [], "read": [], "reached": []}
    for path, facts in entries():
        if stat.S_ISSOCK(facts.st_mode):
            told["reached"] += [path] if reached(path) else []
        elif os.access(path, os.W_OK):
            told["written"].append(path)
        elif stat.S_ISREG(facts.st_mode) and not facts.st_mode & stat.S_IROTH and os.access(path, os.R_OK):
            told["read"].append(path)
    return told


def _called(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def _ran(line: str) -> None:
    subprocess.run(line.split(), check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=30)


def _asked(resource: HostResource) -> None:
    told = wire.TaggedChange.of(Change(resource, None))
    HelperClient(helper_socket()).ask(wire.Carry("apply", told, 5), wire.Done)


def _rights() -> None:
    file = Path("/var/lib/doorward/tried")
    file.touch()
    try:
        file.chmod(0o4755)
    finally:
        file.unlink()


def _others() -> None:
    mine = os.geteuid()
    if not [path for path in Path("/proc").iterdir() if path.name.isdecimal() and path.stat().st_uid != mine]:
        raise OSError("none is seen")


def _journal() -> None:
    line = ["journalctl", "--quiet", "--no-pager", "--lines=1"]
    if not subprocess.run(line, capture_output=True, check=False).stdout:
        raise OSError("nothing is shown")


_ATTEMPTS: dict[str, Callable[[], object]] = {
    "other processes": _others,
    "the journal": _journal,
    "to end systemd": lambda: os.kill(1, signal.SIGTERM),
    "to trace systemd": lambda: _called("ptrace", _ATTACH, 1, 0, 0),
    "to become root": lambda: os.setuid(0),
    "a user namespace": lambda: _called("unshare", _NEW_USER),
    "the name of the machine": lambda: socket.sethostname("tried"),
    "the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "a program with the rights of its owner": _rights,
    **{line: partial(_ran, line) for line in _PROGRAMS},
    **{f"the helper: {' '.join(one.identity)}": partial(_asked, one) for one in _FOREIGN},
}
"""What has to fail."""


def main() -> None:
    """Try everything."""
    told = found() | {"refused": [], "done": []}
    for name, attempt in _ATTEMPTS.items():
        try:
            attempt()
        except (OSError, HostError, subprocess.SubprocessError) as error:
            told["refused"].append(f"{name}: {error}")
        else:
            told["done"].append(name)
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
