"""Watches the certificates of the node, and the key of its backups: 30, 14, 7 and 1 days before their end, and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from msgspec import Struct

from doorward.areas.area import Issue, Metric
from doorward.configuration import x509
from doorward.configuration.management import certificates, exported_configuration_encryption
from doorward.events.events import Events
from doorward.tree.plaintext import plain
from doorward.tree.snapshot import Snapshot

_NAMES = {
    "ca": "The certificate of the appliance's own authority",
    "server": "The TLS certificate of the server",
    "tsa": "The certificate of the time stamping authority",
}
_BACKUP_KEY = "backup_key"
_DAYS = (0, 1, 7, 14, 30)


class Expiring(Struct, frozen=True):
    """A certificate or key that ends: what it is, the resource, its end, and a word for it in metrics."""

    name: str
    path: str
    end: datetime
    label: str


def in_use(snapshot: Snapshot) -> Iterator[Expiring]:
    """Yield the certificates that the appliance says who it is with, and the key that its backups are encrypted to."""
    for at, key in certificates.in_place(snapshot):
        chain = x509.chain_of(snapshot, key)
        if chain:
            label, name = next((label, name) for label, name in _NAMES.items() if at.startswith(f"/{label}"))
            first = certificates.ends_first(chain)
            if first is not chain[0]:
                name += f", by its issuer {plain(first.subject.rfc4514_string(), 200)},"
            yield Expiring(name, certificates.PATH, first.not_valid_after_utc, label)
    end = exported_configuration_encryption.expiry(snapshot)
    if end is not None:
        yield Expiring("The OpenPGP key of backups and exports", exported_configuration_encryption.PATH, end, _BACKUP_KEY)


class CertificateWatch:
    """``expiring`` returns what is in use now. ``today`` returns the present time, in UTC."""

    def __init__(
        self,
        events: Events,
        expiring: Callable[[], Iterable[Expiring]],
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._events, self._expiring, self._today = events, expiring, today
        self._told: dict[Expiring, int] = {}
        self._issues: tuple[Issue, ...] = ()
        self._ends: dict[str, float] = {}

    def look(self, _now: float) -> None:
        """Raise an alert for every certificate that has come closer to its end."""
        issues, told, ends = [], {}, {}
        for found in self._expiring():
            ends[found.label] = found.end.timestamp()
            left = (found.end - self._today()).total_seconds() / 86_400
            reached = next((days for days in _DAYS if left <= days), None)
            if reached is None:
                continue
            text = f"{found.name} {'ended' if left <= 0 else 'ends'} on {found.end:%Y-%m-%d %H:%M} UTC."
            if reached < self._told.get(found, _DAYS[-1] + 1):
                self._events.raise_("certificate_expiring", text, found.path, days_left=max(0, int(left)))
            told[found] = reached
            issues.append(Issue(text, found.path, "error" if left <= 0 else "warning"))
        self._told, self._issues, self._ends = told, tuple(issues), ends

    def issues(self) -> Iterator[Issue]:
        """Yield the certificates that end within 30 days."""
        yield from self._issues

    def metrics(self) -> Iterator[Metric]:
        """Yield the ends, as of the last look."""
        for label, end in self._ends.items():
            about = "When a certificate ends, or the key of backups."
            yield Metric("doorward_certificate_end_timestamp_seconds", about, end, {"certificate": label})
