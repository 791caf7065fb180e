"""Whether a connection becomes a session: limits, room on the disk, workers. Before anything was read of it."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from doorward.proxy.control.connections import Connections, ResolvedPolicy
from doorward.proxy.control.failures import Failures
from doorward.proxy.control.sessions import Sessions
from doorward.proxy.control.workers import WorkerProxies
from doorward.sessions.channels import Asked, Circumstances, matches

_FRESH_SECONDS = 2.0


class Refusal(Struct, frozen=True):
    """Why a connection becomes no session: in a word for figures, in words for the client."""

    reason: str
    words: str


@dataclass(slots=True)
class Admission:
    """``trails``: the directory that recordings are written to."""

    connections: Connections
    sessions: Sessions
    workers: WorkerProxies
    failures: Failures
    trails: Path
    is_stopping: bool = False
    _used: tuple[float, float] = field(default=(0.0, 0.0))

    def refusal(self, connection: ResolvedPolicy, client: str) -> Refusal | None:  # noqa: PLR0911 - one for each reason
        """Return why a connection that a policy takes becomes no session; None: it may."""
        limits = self.connections.limits
        if self.is_stopping:
            return Refusal("stopping", "The gateway is stopping.")
        if self.failures.blocked_for(client):
            return Refusal("blocked", "Too many failed logins came from your address; try again later.")
        if len(self.sessions) >= limits.sessions:
            return Refusal("sessions", "There are too many sessions; try again later.")
        if self.sessions.before_login(client) >= limits.per_address:
            return Refusal("per_address", "There are too many connections from your address that nobody has logged in on.")
        most = self.connections.disk_limit
        if most is not None and self._percent() > most:
            return Refusal("disk", "The disk for recordings is too full; the administrators know.")
        if not len(self.workers):
            return Refusal("no_worker", "Sessions can't be taken at the moment.")
        if connection.policy.settings.preconnect_channel_check and not self._has_channel(connection, client):
            return Refusal("no_channel", "No channel may be opened from your address at this time.")
        return None

    def _percent(self) -> float:
        """Return how much of the disk is used, looked at no more than every other second."""
        looked, percent = self._used
        if time.monotonic() - looked > _FRESH_SECONDS or not looked:
            usage = shutil.disk_usage(self.trails)
            percent = 100.0 * usage.used / max(1, usage.used + usage.free)
            self._used = time.monotonic(), percent
        return percent

    def _has_channel(self, connection: ResolvedPolicy, client: str) -> bool:
        """Whether any rule could match, as far as address and time go: all that is known before the login."""
        around, now = Circumstances(client, "", ""), datetime.now(UTC)
        for rule in connection.rules.channels:
            bare = msgspec.structs.replace(
                rule, servers=(), gateway_groups=(), remote_groups=(), execs=(), subsystems=(), networks=(), forwards=()
            )
            if matches(bare, Asked(channel=rule.channel), around, now):
                return True
        return False
