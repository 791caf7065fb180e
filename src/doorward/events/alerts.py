"""Which event becomes which mail: recipients, what is held back, what a mail says (configuration contract, section 4.1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from doorward.configuration.alerting import system_alerts, traffic_alerts
from doorward.configuration.management import email
from doorward.events.events import Event
from doorward.events.node import full_name, hostname, local_time
from doorward.transaction.candidate import Running
from doorward.tree.snapshot import Snapshot

log = structlog.get_logger()

HOLD_SECONDS = 300.0
"""At most one mail of a key and subject in this time."""

_MAX_SUBJECTS = 1_000
_MAX_SUBJECT = 200
_MAX_DETAIL = 1_000

Post = Callable[[str, str, str], None]
"""Takes a mail: recipient, subject, text."""


@dataclass(slots=True)
class _Sent:
    at: float
    held: int = 0


class Alerts:
    """Listens to events and posts mails. ``clock`` is monotonic."""

    def __init__(self, running: Callable[[], Running], post: Post, clock: Callable[[], float] = time.monotonic) -> None:
        self._running, self._post, self._clock = running, post, clock
        self._sent: dict[tuple[str, str], _Sent] = {}

    def __call__(self, event: Event) -> None:
        """Post the mail of an event, if one is wanted and none was sent lately."""
        running = self._running()
        snapshot = running.snapshot
        recipient = email.recipient(snapshot, "alerting")
        if recipient is None or not _is_mailed(snapshot, event.key):
            return
        about = subject(hostname(snapshot), event)
        held = self._held(event.key, about)
        if held is None:
            log.info("alert held back", id=event.id)
        else:
            self._post(recipient, about, text(event, running, held))

    def _held(self, key: str, about: str) -> int | None:
        """Return how many mails were held back before this one; None: it is held back itself."""
        now = self._clock()
        last = self._sent.get((key, about))
        if last is not None and now - last.at < HOLD_SECONDS:
            last.held += 1
            return None
        self._forget(now)
        self._sent.pop((key, about), None)
        self._sent[key, about] = _Sent(now)
        return last.held if last else 0

    def _forget(self, now: float) -> None:
        """Forget what nothing hangs on any more, and the oldest beyond a thousand."""
        for key, sent in list(self._sent.items()):
            if (now - sent.at >= HOLD_SECONDS and not sent.held) or len(self._sent) >= _MAX_SUBJECTS:
                del self._sent[key]


def _is_mailed(snapshot: Snapshot, key: str) -> bool:
    """Whether a mail is wanted about events with a key."""
    chosen = snapshot.read(traffic_alerts.NODE) if key in traffic_alerts.IDS else snapshot.read(system_alerts.NODE)
    return bool(getattr(chosen, key).email)


def subject(host: str, event: Event) -> str:
    """Return the subject of the mail about an event, one line."""
    return " ".join(f"[{host}] {event.id}: {event.text}".split())[:_MAX_SUBJECT]


def text(event: Event, running: Running, held: int) -> str:
    """Return the text of the mail about an event."""
    return "\n".join(_lines(event, running, held)) + "\n"


def _lines(event: Event, running: Running, held: int) -> Iterator[str]:
    snapshot = running.snapshot
    yield f"Time:     {local_time(snapshot, event.at)}"
    yield f"Node:     {full_name(snapshot)}"
    yield f"Event:    {event.id}"
    yield f"Cause:    {event.text}"
    if event.path:
        yield f"Resource: {event.path}"
    yield f"Revision: {running.number}"
    details = {name: value for name, value in event.details.items() if value is not None and name not in {"path", "text"}}
    if details:
        yield ""
    for name, value in details.items():
        yield f"{name}: {', '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}"[:_MAX_DETAIL]
    if held:
        yield ""
        yield f"Held back since the last mail with this subject: {held}"
