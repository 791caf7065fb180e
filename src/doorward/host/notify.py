"""Word to systemd of how a service does (sd_notify(3)): ready, stopping, alive; and what systemd keeps for the next start of it.

Without systemd nothing is sent, and nothing is kept.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_FIRST_DESCRIPTOR = 3
"""Of those that systemd hands over (sd_listen_fds(3))."""


def notify(state: str, *descriptors: int) -> None:
    """Send a state such as "READY=1" to the socket in NOTIFY_SOCKET; who does not listen is not waited for."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        datagram.setblocking(False)  # noqa: FBT003 - the name says it
        datagram.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        socket.send_fds(datagram, [state.encode()], list(descriptors))


def handed_over() -> list[int]:
    """Return the descriptors that systemd hands over to this process, once: they are not for its children."""
    text, process = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not text.isdecimal() or process != str(os.getpid()):
        return []
    found = [*range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(text))]
    for descriptor in found:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the name says it
    return found


def is_journal(descriptor: int) -> bool:
    """Whether what is written to a descriptor goes to the journal, which keeps it and shows it to others (systemd.exec(5))."""
    told = os.environ.get("JOURNAL_STREAM")
    if told is None:
        return False
    try:
        facts = os.fstat(descriptor)
    except OSError:
        return False
    return told == f"{facts.st_dev}:{facts.st_ino}"


def watchdog_seconds() -> float | None:
    """Return how often to send "WATCHDOG=1", twice in the time that systemd waits for it; None where it does not wait."""
    text, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not text.isdecimal() or int(text) == 0 or process not in {"", str(os.getpid())}:
        return None
    return int(text) / 2_000_000
