"""Word to systemd of how a service does (sd_notify(3)): ready, stopping, alive. Without systemd nothing is sent."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send a state such as "READY=1" to the socket in NOTIFY_SOCKET; who does not listen is not waited for."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        datagram.setblocking(False)  # noqa: FBT003 - the name says it
        datagram.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


def watchdog_seconds() -> float | None:
    """Return how often to send "WATCHDOG=1", twice in the time that systemd waits for it; None where it does not wait."""
    text, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not text.isdecimal() or int(text) == 0 or process not in {"", str(os.getpid())}:
        return None
    return int(text) / 2_000_000
