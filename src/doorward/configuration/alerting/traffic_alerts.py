"""Which events of proxied sessions send a mail: ``/api/configuration/alerting/traffic_alerts``.

Every event is logged, and goes to syslog receivers, whatever stands here. Mails leave as those of ``system_alerts`` do. What is
of one kind and from one address is told ten times a minute at most; the next one tells how many were left out. The last four
members are extensions, shown only where they are switched on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from doorward.configuration.alerting.system_alerts import Never, Quiet
from doorward.configuration.management import email
from doorward.tree.models import Body, extension
from doorward.tree.nodes import Singleton
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/alerting/traffic_alerts"

IDS: Mapping[str, str] = {
    "auth_failure": "scbAuthFailure",
    "auth_success": "scbAuthSuccess",
    "channel_denied": "scbChannelDenied",
    "connection_denied": "scbConnectionDenied",
    "connection_failed": "scbConnectionFailed",
    "connection_timedout": "scbConnectionTimedout",
    "gw_auth_failure": "scbGWAuthFailure",
    "gw_auth_success": "scbGWAuthSuccess",
    "host_key_learned": "scbSSHHostKeyLearned",
    "protocol_violation": "scbProtocolViolation",
    "recording_failed": "doorwardRecordingFailed",
    "session_ended": "doorwardSessionEnded",
    "session_started": "doorwardSessionStarted",
    "session_terminated": "doorwardSessionTerminated",
    "ssh_host_key_mismatch": "scbSSHHostKeyMismatch",
    "user_mapping_failure": "scbUserMappingFailure",
}
"""The id, in mail and log, of every event that this release raises."""

_QUIET, _NEVER = Quiet(), Never()


class TrafficAlerts(Body):
    """Which events of sessions send an alert."""

    auth_failure: Quiet = Field(_QUIET, description="A server refused a login.")
    auth_success: Quiet = Field(_QUIET, description="A session is logged in at its server.")
    channel_denied: Quiet = Field(_QUIET, description="A channel was refused.")
    connection_denied: Quiet = Field(_QUIET, description="A connection became no session, or got no target.")
    connection_failed: Quiet = Field(_QUIET, description="A server could not be reached.")
    connection_timedout: Quiet = Field(_QUIET, description="A connection took too long.")
    cred_store_closed: Never = Field(_NEVER, description="A credential store is locked; not raised by this release.")
    cred_store_decrypt_error: Never = Field(_NEVER, description="A credential can't be opened; not raised by this release.")
    gw_auth_failure: Quiet = Field(_QUIET, description="The gateway refused a login.")
    gw_auth_success: Quiet = Field(_QUIET, description="Somebody logged in at the gateway.")
    host_key_learned: Quiet = Field(_QUIET, description="The host key of a server was learned.")
    protocol_violation: Quiet = Field(_QUIET, description="A client or server violated the protocol.")
    ssh_host_key_mismatch: Quiet = Field(_QUIET, description="A server shows another host key than the trusted one.")
    user_mapping_failure: Quiet = Field(_QUIET, description="A user may not be who was asked for.")
    recording_failed: Quiet = extension(_QUIET, description="A session can't be recorded, or catalogued.")
    session_ended: Quiet = extension(_QUIET, description="A session is over.")
    session_started: Quiet = extension(_QUIET, description="A session began.")
    session_terminated: Quiet = extension(_QUIET, description="A session was ended by an administrator, or a commit.")


def mail_not_configured(old: TrafficAlerts, new: TrafficAlerts, snapshot: Snapshot) -> Iterator[Problem]:
    """Warn who switches a mail on that nobody would get."""
    switched_on = any(way.email and not getattr(old, name).email for name, way in new)
    if switched_on and email.recipient(snapshot, "alerting") is None:
        message = "No mail leaves before management/email has a server and an address for alerts."
        yield Problem("mail_not_configured", message)


NODE: Singleton[TrafficAlerts] = Singleton(
    title="Traffic alerts",
    model=TrafficAlerts,
    default={
        name: {"email": False, "snmp": False}
        for name in TrafficAlerts.model_fields
        if name not in {"recording_failed", "session_ended", "session_started", "session_terminated"}
    },
    step=mail_not_configured,
)
