"""Everything of this floor put together: started, stopped, and told of every commit."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psutil
import structlog
from msgspec import Struct

from doorward.areas.area import Area, Issue, Metric
from doorward.configuration import troubleshooting
from doorward.configuration.management import email
from doorward.configuration.management.change_approval import ApprovalRule
from doorward.events.alerts import Alerts, subject
from doorward.events.alerts import text as mail_text
from doorward.events.certificates import CertificateWatch, in_use
from doorward.events.clock import TimeWatch
from doorward.events.cores import CoreFileRetention
from doorward.events.events import Event, Events
from doorward.events.forwarder import Forwarder
from doorward.events.limits import Limits, figures_of
from doorward.events.mail import Code, Mail, MailError, deliver
from doorward.events.monitor import Monitor
from doorward.events.node import hostname
from doorward.events.queue import MailQueue
from doorward.events.record_watch import RecordWatch
from doorward.events.tap import TAP
from doorward.events.verbosity import VERBOSITY
from doorward.store.anchor import Anchor
from doorward.store.port import Edit, Revision
from doorward.transaction.candidate import Running
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.proposals import Proposal, groups_of
from doorward.transaction.untold import tell
from doorward.tree.snapshot import Snapshot

log = structlog.get_logger()

_MAX_PATHS = 20
_TRY_SECONDS = 60.0
"""How long one step of a mail may take while somebody waits for how it goes."""


class MailOutcome(Struct, frozen=True):
    """How the try of a mail went. ``code`` None: it was taken."""

    message: str
    code: Code | None = None

    @property
    def result(self) -> Literal["failed", "sent"]:
        """The result in a word."""
        return "sent" if self.code is None else "failed"


class Notifications(Area):
    """Mail, alerts, syslog and the log level of a node. ``state`` is the state directory; ``monitor`` is an area of its own."""

    is_early = True

    def __init__(self, pipeline: Pipeline, state: Path) -> None:
        self._pipeline = pipeline
        self.events = Events()
        self.mails = MailQueue(pipeline.store, self._deliver)
        self.syslog = Forwarder(pipeline.secrets.text)
        self.core_files = CoreFileRetention(state)
        self.revision = 0
        """The revision that the senders work by."""
        pipeline.proposals.made.append(self._proposed)
        self.events.listeners.append(Alerts(lambda: pipeline.running, self.mails.post))
        self._certificates = CertificateWatch(self.events, lambda: in_use(self._snapshot()))
        self._state = state
        watches = (
            Limits(self.events, self._snapshot, figures_of(state)),
            TimeWatch(self.events, self._snapshot, pipeline.host.time_status),
            self._certificates,
            RecordWatch(self.events, pipeline.store),
            self.core_files,
        )
        self.monitor = Monitor(watches)

    def _snapshot(self) -> Snapshot:
        return self._pipeline.running.snapshot

    def _deliver(self, mail: Mail) -> None:
        deliver(self._snapshot(), mail, self._pipeline.secrets.text, partial(self.mails.at_risk, mail))

    def start(self) -> None:
        """Begin to send, by the running revision."""
        pipeline = self._pipeline
        self._configure(pipeline.running)
        pipeline.store.failed.append(self._store_failed)
        TAP.listeners += [self.syslog, self.events.noticed]
        self.events.start()
        self.mails.start()

    def stop(self) -> None:
        """Stop, the ones that others feed last."""
        self.events.stop()
        self.mails.stop()
        TAP.listeners = [listen for listen in TAP.listeners if listen not in (self.syslog, self.events.noticed)]
        self.syslog.stop()
        VERBOSITY.debugging = False

    def published(self, before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
        """Go over to a new revision; when this returns the senders work by it."""
        del before, edits
        self._configure(after)

    def follow(self, revision: Revision, edits: tuple[Edit, ...]) -> None:
        """Tell of a new revision."""
        self.events.raise_(
            "config_change", f"Revision {revision.number} by {revision.author or 'unknown'}", f"/api/revisions/{revision.number}",
            address=revision.address or None, message=revision.message,
            changed=[edit.place.href for edit in edits[:_MAX_PATHS]], changes=len(edits),
        )  # fmt: skip
        if revision.emergency:
            tell(self._pipeline.store, self.events.raise_)
        self._tell_head(self._pipeline.store.anchor(revision))

    def _proposed(self, proposal: Proposal, rules: tuple[ApprovalRule, ...]) -> None:
        """Tell who has to accept a commit. Runs in the commit thread."""
        waits_for = " and ".join(groups_of(rules))
        text = f"A change by {proposal.author} waits for {waits_for}"
        path, clock = f"/api/proposals/{proposal.id}", self._pipeline.clock
        details: dict[str, Any] = {
            "author": proposal.author, "message": proposal.message, "changed": list(proposal.hrefs[:_MAX_PATHS]),
            "changes": len(proposal.rows), "expires": proposal.expires(clock),
        }  # fmt: skip
        self.events.raise_("change_proposed", text, path, **details)
        event = Event(key="change_proposed", text=text, path=path, details=details, at=clock.time())
        about, content = subject(hostname(self._snapshot()), event), mail_text(event, self._pipeline.running, 0)
        for address in dict.fromkeys(address for rule in rules for address in rule.mail_to):
            self.mails.post(address, about, content)

    def metrics(self) -> Iterator[Metric]:
        """Yield when certificates end, and the room on the disk of the state directory."""
        yield from self._certificates.metrics()
        disk = psutil.disk_usage(str(self._state))
        yield Metric("doorward_disk_size_bytes", "Size of the disk of the state directory.", disk.total)
        yield Metric("doorward_disk_free_bytes", "Free bytes of the disk of the state directory.", disk.free)

    def tidy(self) -> None:
        """Tell the head of the history again, for receivers that missed it."""
        self._tell_head(self._pipeline.store.anchor())

    def _tell_head(self, anchor: Anchor | None) -> None:
        """Have the signed head in the log, and by that with the receivers of syslog: there it is out of reach of this node."""
        if anchor is not None:
            log.info("history head", head=anchor.as_json())

    def _configure(self, running: Running) -> None:
        self.syslog.configure(running.snapshot)
        VERBOSITY.debugging = running.snapshot.read(troubleshooting.NODE).debug_logging.enabled
        self.revision = running.number

    def _store_failed(self, reason: str) -> None:
        self.events.raise_("db_error", "The store refused to read or write.", reason=reason)

    def issues(self) -> Iterator[Issue]:
        """Yield everything that is wrong, for ``health_status``."""
        for message in self.syslog.issues():
            yield Issue(message, "/api/configuration/management/syslog")
        if self.revision != self._pipeline.running.number:
            yield Issue(f"Mail and syslog still work by revision {self.revision}.", level="error")

    def try_mail(self, recipient: str) -> MailOutcome:
        """Send a mail at once by the running configuration, past the queue. Blocks."""
        snapshot, now = self._snapshot(), time.time()
        text = "This mail was asked for to try the mail settings of this node.\n"
        mail = Mail(uuid.uuid4().hex, recipient, f"[{hostname(snapshot)}] Test of the mail settings", text, now, now)
        try:
            deliver(snapshot, mail, self._pipeline.secrets.text, patience=_TRY_SECONDS)
        except MailError as failed:
            return MailOutcome(failed.message, failed.code)
        server = snapshot.read(email.NODE).smtp_server
        return MailOutcome(f"{server.value if server else 'The server'} took the mail for {recipient}.")
