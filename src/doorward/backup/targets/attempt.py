"""One attempt to use a target: what it works on, how long it may take, and who may end it."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from doorward.backup.failure import BackupError
from doorward.tree.plaintext import plain

Step = Callable[[str], None]
"""Told the name of each step that begins."""

Secret = Callable[[str], str | None]
"""Gives the text behind the key of a secret (``SecretKeeping.text``), or of a certificate."""

CONNECT_SECONDS = 30.0
"""How long a connection may take to come about."""


def unknown(_key: str) -> str | None:
    """Know nothing."""
    return None


_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
_MAX_WORDS, _MAX_LABEL = 250, 120
_TICK_SECONDS = 0.1


class TargetAttempt(Struct, frozen=True):
    """What is the same for all work on one target.

    ``deadline``: a ``time.monotonic()`` value. ``stall``: seconds without progress. ``label``: the target for people.
    ``certificate`` gives certificates by their keys, in PEM.
    """

    node: str
    per_node: bool
    stop: threading.Event
    workdir: Path
    deadline: float
    stall: float
    label: str
    step: Step | None = None
    certificate: Secret = unknown

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories below the path of the target that are ours to make, outermost first."""
        return (self.node, "config") if self.per_node else ("config",)

    @property
    def left(self) -> float:
        """Seconds until the deadline, never below zero."""
        return max(0.0, self.deadline - time.monotonic())

    def check(self, doing: str) -> None:
        """Raise ``cancelled`` or ``timeout`` when it is over."""
        if self.stop.is_set():
            raise self.failed("cancelled", doing, "it was broken off")
        if not self.left:
            raise self.failed("timeout", doing, "it took too long in all")

    def begin(self, step: str) -> None:
        """Tell that a step begins, if anybody asked."""
        if self.step is not None:
            self.step(step)

    def failed(self, code: str, doing: str, words: str) -> BackupError:
        """Return a failure with the step, the target and the other side's words."""
        return BackupError(code, f"{doing}, {plain(self.label, _MAX_LABEL)}: {plain(words, _MAX_WORDS).rstrip('.')}.")

    def leftover(self, name: str) -> bool:
        """Whether a name is that of a temporary file of this node, ours or as rsync names its own, or of a probe of whomever."""
        stem = rf"\.doorward-\d{{8}}T\d{{6}}Z-{re.escape(self.node[:8])}\.config(\.gpg)?(\.manifest)?"
        return re.fullmatch(stem + r"\.(part|[A-Za-z0-9]{6})|\.doorward-probe-[0-9a-f-]{36}", name) is not None


def checked(name: str) -> str:
    """Return the name of a file, which is a single one and needs no escaping anywhere. Raises ValueError."""
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise ValueError(f"not the name of a file on a target: {name!r}")
    return name


def reach(attempt: TargetAttempt, server: str, port: int) -> str:
    """Resolve the server and connect once, to tell the two failures apart; return the first of its addresses that answered.

    Programs that know one address of a name only are given that one. Raises ``resolve``, ``connect`` or ``timeout``.
    """
    attempt.begin("resolve")
    found: list[tuple[str, int]] = []
    errors: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend(answer[4][:2] for answer in socket.getaddrinfo(server, port, type=socket.SOCK_STREAM))  # type: ignore[misc]
        except (OSError, UnicodeError) as error:
            errors.append(error if isinstance(error, OSError) else OSError(str(error)))

    asking = threading.Thread(target=look_up, daemon=True, name="resolve")  # the resolver itself knows no time limit
    asking.start()
    end = time.monotonic() + min(CONNECT_SECONDS, attempt.left)
    while asking.is_alive() and time.monotonic() < end:
        attempt.check("Resolving the name")
        asking.join(_TICK_SECONDS)
    if not found:
        raise attempt.failed(
            "resolve", "Resolving the name", errors[0].strerror or "no address" if errors else "no answer in time"
        )
    attempt.begin("connect")
    last = OSError("no address")
    for address in dict.fromkeys(found):
        try:
            socket.create_connection(address, min(CONNECT_SECONDS, max(attempt.left, _TICK_SECONDS))).close()
        except OSError as error:
            last = error
        else:
            return address[0]
        attempt.check("Connecting")
    code = "timeout" if isinstance(last, TimeoutError) else "connect"
    raise attempt.failed(code, "Connecting", last.strerror or "no answer in time")


class Watchdog:
    """Ends a conversation that is over: asked to stop, past the deadline, or without progress.

    ``cut`` breaks the connection from another thread, so that whoever waits on it wakes with an error.
    """

    def __init__(self, attempt: TargetAttempt, cut: Callable[[], None]) -> None:
        self._attempt, self._cut = attempt, cut
        self._moved = time.monotonic()
        self._working = 0
        self._over = threading.Event()
        self.reason: tuple[str, str] | None = None
        """Code and words, once it has bitten."""
        self._thread = threading.Thread(target=self._watch, daemon=True, name="backup-watchdog")
        self._thread.start()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Watch while the block runs; outside of it nothing has to move."""
        self._moved = time.monotonic()
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_TICK_SECONDS):
            attempt = self._attempt
            if not self._working:
                continue
            if attempt.stop.is_set():
                self.reason = ("cancelled", "it was broken off")
            elif not attempt.left:
                self.reason = ("timeout", "it took too long in all")
            elif time.monotonic() - self._moved > attempt.stall:
                self.reason = ("stalled", f"nothing moved for {attempt.stall:.0f} s")
            if self.reason is not None:
                self._cut()
                return
