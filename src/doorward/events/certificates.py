"""Watches the certificates of the node: 30, 14, 7 and 1 days before their end, and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.x509 import load_pem_x509_certificate

from doorward.configuration import x509
from doorward.events.alarm import Issue
from doorward.events.events import Events
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/management/certificates"

_DAYS = (0, 1, 7, 14, 30)


@dataclass(frozen=True, slots=True)
class Expiring:
    """A certificate or key that ends: what it is, the resource, its end."""

    name: str
    path: str
    end: datetime


def in_use(snapshot: Snapshot, self_signed: Path) -> Iterator[Expiring]:
    """Yield the certificates that a configuration refers to; for the server the self-signed one where it has no other."""
    value: dict[str, Any] = snapshot.value(PATH)
    authority = value["ca"] or {}
    names = {
        "The TLS certificate of the server": value["server"],
        "The certificate of the time stamping authority": value["tsa"],
        "The certificate of the appliance's own authority": authority.get("x509_identity") or authority.get("x509_certificate"),
    }
    for name, key in names.items():
        found = x509.certificate_of(snapshot, key) if key else None
        if found is not None:
            yield Expiring(name, PATH, found.not_valid_after_utc)
    if value["server"] is None and self_signed.exists():
        name = next(iter(names))
        yield Expiring(name, PATH, load_pem_x509_certificate(self_signed.read_bytes()).not_valid_after_utc)


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

    def look(self, _now: float) -> None:
        """Raise an alert for every certificate that has come closer to its end."""
        issues, told = [], {}
        for found in self._expiring():
            left = (found.end - self._today()).total_seconds() / 86_400
            reached = next((days for days in _DAYS if left <= days), None)
            if reached is None:
                continue
            text = f"{found.name} {'ended' if left <= 0 else 'ends'} on {found.end:%Y-%m-%d %H:%M} UTC."
            if reached < self._told.get(found, _DAYS[-1] + 1):
                self._events.raise_("certificate_expiring", text, found.path, days_left=max(0, int(left)))
            told[found] = reached
            issues.append(Issue(text, found.path, "error" if left <= 0 else "warning"))
        self._told, self._issues = told, tuple(issues)

    def issues(self) -> Iterator[Issue]:
        """Yield the certificates that end within 30 days."""
        yield from self._issues
