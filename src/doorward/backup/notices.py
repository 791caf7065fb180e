"""Who is told of a run: a mail as the policy says, and the alert of a failure (section 7). Neither changes the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import structlog

from doorward.backup.records import Drill, Run, moment
from doorward.configuration.management import email
from doorward.configuration.policies import backup_policies
from doorward.events.events import Events
from doorward.events.node import full_name, hostname, local_time
from doorward.tree.snapshot import Snapshot

log = structlog.get_logger()

Post = Callable[[str, str, str], None]
"""Takes a mail: recipient, subject, text."""


class RunNotices:
    """Tells of runs that are over. ``running`` returns the running configuration."""

    def __init__(self, events: Events, post: Post, running: Callable[[], Snapshot]) -> None:
        self._events, self._post, self._running = events, post, running

    def __call__(self, run: Run, policy: Mapping[str, Any] | None, drill: Drill | None = None, paths: Sequence[str] = ()) -> None:
        """Tell of a run. ``policy`` is the body that it went by, ``paths`` is what its archive holds."""
        snapshot = self._running()
        href = f"/api/backup/runs/{run.id}"
        log.info("backup run ended", run=run.id, result=run.result, code=run.code, target=run.target, reason=run.reason)
        if run.result == "failed":
            self._events.raise_(
                "backup_failed", f"The backup failed: {run.code}.", href,
                code=run.code, message=run.message, policy=policy["name"] if policy else run.policy, target=run.target,
            )  # fmt: skip
        if policy is None or not wants_mail(policy, run):
            return
        event, recipient = policy["notification_event"], _recipient(snapshot, run)
        if recipient is not None:
            listed = paths[: event["file_count_limit"]] if event.get("send_filelist") else ()
            left_out = len(paths) - len(listed) if listed else 0
            text = "\n".join(lines(snapshot, run, policy, drill, listed, left_out)) + "\n"
            self._post(recipient, f"[{hostname(snapshot)}] Backup {run.result}: {policy['name']}", text)

    def checked(self, run: Run, policy: Mapping[str, Any]) -> Run:
        """Return a run that is over, with a warning where nobody gets the mail that the policy asks for."""
        if wants_mail(policy, run) and _recipient(self._running(), run) is None:
            message = f"Nobody gets the mail about this run: {email.PATH} names no server, or nobody to write to."
            return run.with_warning("mail_not_configured", message)
        return run


def wants_mail(policy: Mapping[str, Any], run: Run) -> bool:
    """Whether a policy asks for a mail about a run that is over."""
    wanted = policy["notification_event"]["type"]
    return wanted == "all" or (wanted == "errors-only" and run.result == "failed")


def _recipient(snapshot: Snapshot, run: Run) -> str | None:
    return email.recipient(snapshot, "reporting" if run.result == "succeeded" else "alerting")


def lines(
    snapshot: Snapshot, run: Run, policy: Mapping[str, Any], drill: Drill | None, listed: Sequence[str], left_out: int
) -> Iterator[str]:
    """Yield the lines of the mail about a run."""
    started, ended = (moment(text) for text in (run.started or run.ended or "", run.ended or ""))
    yield f"Node:     {full_name(snapshot)}"
    yield f"Policy:   {policy['name']} ({backup_policies.PATH}/{run.policy})"
    if run.target:  # one that never had its turn went nowhere
        yield f"Target:   {run.target}"
    yield f"Started:  {local_time(snapshot, started.timestamp())}"
    yield f"Duration: {(ended - started).total_seconds():.0f} s"
    yield f"Result:   {run.result}"
    if run.code is not None:
        yield f"Code:     {run.code}"
        yield f"Message:  {run.message}"
    if run.revision is not None:
        yield f"Revision: {run.revision['number']} ({run.revision['hash']})"
    for file in run.files:
        yield f"File:     {file['name']}, {file['size']} bytes, SHA-256 {file['sha256']}"
    if drill is not None:
        passed = [f"{level} ({found['basis']})" for level, found in sorted(drill.levels.items()) if found["passed"]]
        yield f"Drill:    {drill.result}: {', '.join(passed) or 'nothing proven'}"
    for warning in run.warnings:
        yield f"Warning:  {warning['message']}"
    yield f"Record:   /api/backup/runs/{run.id}"
    if listed:
        yield ""
        yield "Files in the archive:"
        yield from (f"  {path}" for path in listed)
        if left_out:
            yield f"  and {left_out} more, left out by file_count_limit"
