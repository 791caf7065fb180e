"""Who is told of archiving: the alert of a failure, and a mail after each start time as the policy says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from doorward.archiving.policies import UsedPolicy
from doorward.configuration.management import email
from doorward.configuration.policies._targets import MailOfAll, MailWithList, NoMail
from doorward.events.events import Events
from doorward.events.node import full_name, hostname, local_time
from doorward.tree.snapshot import Snapshot

Post = Callable[[str, str, str], None]
"""Takes a mail: recipient, subject, text."""


@dataclass
class Activity:
    """What was done by a policy since its last start time. ``names``: what was sent, as many as its mail may list."""

    sent: int = 0
    bytes: int = 0
    deleted: int = 0
    names: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Messages by code."""

    def add(self, used: UsedPolicy, name: str, size: int) -> None:
        """Note a trail that was sent."""
        self.sent += 1
        self.bytes += size
        event = used.policy.notification_event
        if isinstance(event, MailWithList) and len(self.names) < event.file_count_limit:
            self.names.append(name)


class ArchiveNotices:
    """Tells of what goes on. ``running`` returns the running configuration."""

    def __init__(self, events: Events, post: Post, running: Callable[[], Snapshot]) -> None:
        self._events, self._post, self._running = events, post, running

    def failed(self, used: UsedPolicy, code: str, message: str) -> None:
        """Raise the alert of a policy whose trails can't be archived."""
        self._events.raise_(
            "archive_failed", f"Recordings could not be archived: {code}.", used.href,
            code=code, message=message, policy=used.policy.name, target=used.label,
        )  # fmt: skip

    def not_fetched(self, session: str, code: str, message: str, *, is_lost: bool) -> None:
        """Raise the alert of a trail in the archive that is not as it was sent, or gone, or that nobody gets at any more."""
        path, what = f"/api/audit/sessions/{session}", "is lost" if is_lost else "can't be fetched"
        self._events.raise_("archive_failed", f"A recording in the archive {what}: {code}.", path, code=code, message=message)

    def summary(self, used: UsedPolicy, activity: Activity, waiting: int, now: float) -> None:
        """Send the mail of a start time, if the policy wants one and there is something to tell. ``now``: Unix time."""
        event, snapshot = used.policy.notification_event, self._running()
        has_failed = bool(activity.failures)
        if isinstance(event, NoMail) or (not has_failed and not isinstance(event, MailOfAll | MailWithList)):
            return
        recipient = email.recipient(snapshot, "alerting" if has_failed else "reporting")
        if recipient is not None:
            words = "failed" if has_failed else "succeeded"
            text = "\n".join(_lines(snapshot, used, activity, waiting, now)) + "\n"
            self._post(recipient, f"[{hostname(snapshot)}] Archiving {words}: {used.policy.name}", text)


def _lines(snapshot: Snapshot, used: UsedPolicy, activity: Activity, waiting: int, now: float) -> Iterator[str]:
    yield f"Node:     {full_name(snapshot)}"
    yield f"Policy:   {used.policy.name} ({used.href})"
    if used.label:
        yield f"Target:   {used.label}"
    yield f"Time:     {local_time(snapshot, now)}"
    if used.is_sending:
        yield f"Archived: {activity.sent} recordings, {activity.bytes} bytes, since the last mail or start"
        yield f"Waiting:  {waiting}"
    yield f"Deleted:  {activity.deleted} copies on the node"
    for code, message in activity.failures.items():
        yield f"Failure:  {code}: {message}"
    if activity.names:
        yield ""
        yield "Recordings in the archive:"
        yield from (f"  {name}" for name in activity.names)
        if activity.sent > len(activity.names):
            yield f"  and {activity.sent - len(activity.names)} more, left out by file_count_limit"
