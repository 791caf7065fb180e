"""Runs a test in network, name and mount namespaces of its own: nothing that it does to the machine is seen outside.

The right to set the clock, which has no namespace, is dropped.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_NEW_NETWORK, _NEW_NAMES, _NEW_MOUNTS = 0x40000000, 0x04000000, 0x00020000
_DROP_FROM_BOUNDING_SET, _SET_CLOCK = 24, 25
_LIBC = ctypes.CDLL(None, use_errno=True)


def apart(test: Callable[..., None]) -> Callable[..., None]:
    """Run the test in a thread with its own namespaces; its child processes have them too. They end with the thread."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        with ThreadPoolExecutor(1, initializer=_leave) as pool:
            pool.submit(test, *arguments, **named).result()

    return run


def _leave() -> None:
    if _LIBC.unshare(_NEW_NETWORK | _NEW_NAMES | _NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), "namespaces of its own need root")
    if _LIBC.prctl(_DROP_FROM_BOUNDING_SET, _SET_CLOCK, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the right to set the clock could not be dropped")
    run("mount --make-rprivate /")
    run("ip link set lo up")


def run(command: str) -> str:
    """Run a command in the namespaces of this thread and return what it prints."""
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def private_system(directory: Path) -> None:
    """Let this thread have its own copy of /etc, and its own empty directories of daemons."""
    run(f"cp -a /etc {directory}/etc")
    run(f"mount --bind {directory}/etc /etc")
    for name in ("/run", "/var/lib/chrony", "/var/log/chrony"):
        if Path(name).is_dir():
            run(f"mount -t tmpfs none {name}")


def neighbour(device: str, address: str) -> subprocess.Popen[bytes]:
    """Make a device that leads to another machine, which has an address. The returned process holds the machine: kill it."""
    machine = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
    assert machine.stdout is not None
    machine.stdout.readline()  # it is in its namespace
    run(f"ip link add {device} type veth peer name there netns {machine.pid}")
    inside = f"nsenter --net=/proc/{machine.pid}/ns/net ip"
    run(f"{inside} address add {address} dev there nodad" if ":" in address else f"{inside} address add {address} dev there")
    run(f"{inside} link set there up")
    run(f"ip link set {device} up")
    return machine
