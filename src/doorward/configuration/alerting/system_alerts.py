"""Which events of the appliance itself send a mail: ``/api/configuration/alerting/system_alerts``.

Every event is logged, whatever stands here. Mails go to ``alerting_address`` of ``management/email``, or to ``admin_address``. At
most one mail of a kind and subject leaves in 5 minutes; the next one tells how many were held back. A mail tells time, node, id,
cause, resource and revision, never a secret. Nothing on the host changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from doorward.configuration.management import email
from doorward.tree.models import Body, extension
from doorward.tree.nodes import Singleton
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/alerting/system_alerts"

IDS: Mapping[str, str] = {
    "alert": "xcbAlert",
    "approval_reset": "doorwardApprovalReset",
    "archive_failed": "xcbArchiveFailed",
    "backup_failed": "xcbBackupFailed",
    "backup_overdue": "doorwardBackupOverdue",
    "certificate_expiring": "doorwardCertificateExpiring",
    "change_proposed": "doorwardChangeProposed",
    "clock_stepped": "doorwardClockStepped",
    "cluster_central_lost": "doorwardClusterCentralLost",
    "cluster_node_offline": "doorwardClusterNodeOffline",
    "cluster_sync_failed": "doorwardClusterSyncFailed",
    "config_change": "xcbConfigChange",
    "configuration_drift": "doorwardConfigurationDrift",
    "db_error": "xcbDBError",
    "disk_full": "doorwardDiskFull",
    "drift_loop": "doorwardDriftLoop",
    "emergency_change": "doorwardEmergencyChange",
    "error": "xcbError",
    "load_high": "doorwardLoadHigh",
    "login": "xcbLogin",
    "login_failure": "xcbLoginFailure",
    "logout": "xcbLogout",
    "password_reset": "doorwardPasswordReset",
    "swap_full": "doorwardSwapFull",
    "time_sync_lost": "doorwardTimeSyncLost",
}
"""The id, in mail and log, of every event that this release raises."""


def _never_raised(value: bool) -> bool:  # noqa: FBT001 - pydantic's validator
    if value:
        raise PydanticCustomError("not_supported", "Nothing raises this alert in this release.")
    return value


def _no_snmp(value: bool) -> bool:  # noqa: FBT001 - pydantic's validator
    if value:
        raise PydanticCustomError("not_supported", "This release cannot forward alerts by SNMP.")
    return value


Snmp = Annotated[bool, AfterValidator(_no_snmp)]


class Mailed(Body):
    """How an alert is sent."""

    email: bool = Field(default=True, description="Whether a mail is sent.")
    snmp: Snmp = Field(default=False, description="Not supported by this release.")


class Quiet(Body):
    """How an alert is sent."""

    email: bool = Field(default=False, description="Whether a mail is sent.")
    snmp: Snmp = Field(default=False, description="Not supported by this release.")


class Never(Body):
    """An alert that this release does not raise."""

    email: Annotated[bool, AfterValidator(_never_raised)] = Field(default=False, description="Not supported by this release.")
    snmp: Snmp = Field(default=False, description="Not supported by this release.")


_MAILED, _QUIET, _NEVER = Mailed(), Quiet(), Never()


class SystemAlerts(Body):
    """Which events send an alert."""

    alert: Quiet = Field(_QUIET, description="A log record of level critical.")
    archive_failed: Quiet = Field(_QUIET, description="Recordings could not be archived, or one in the archive is not as sent.")
    approval_reset: Mailed = extension(_MAILED, description="Approval of changes was switched off on the machine.")
    backup_failed: Mailed = Field(_MAILED, description="A backup failed after its last attempt.")
    backup_overdue: Mailed = Field(_MAILED, description="No backup succeeded since the last two times it was due.")
    certificate_expiring: Mailed = Field(_MAILED, description="A certificate or the key of backups ends in 30, 14, 7 or 1 days.")
    change_proposed: Mailed = extension(_MAILED, description="A commit waits for somebody's approval.")
    clock_stepped: Mailed = extension(_MAILED, description="The clock was stepped by more than 10 seconds.")
    cluster_central_lost: Mailed = Field(_MAILED, description="Central Management did not answer for 60 seconds.")
    cluster_node_offline: Mailed = Field(_MAILED, description="A node of the cluster went offline.")
    cluster_sync_failed: Mailed = Field(_MAILED, description="A node of the cluster could not take the configuration.")
    config_change: Quiet = Field(_QUIET, description="A commit was published.")
    configuration_drift: Mailed = Field(_MAILED, description="The host differs from the running configuration.")
    db_error: Mailed = Field(_MAILED, description="The store refused to read or write.")
    disk_full: Mailed = Field(_MAILED, description="The limit of disk use is crossed.")
    drift_loop: Mailed = extension(_MAILED, description="Repairs of the host did not last, so that there are no more.")
    emergency_change: Mailed = extension(_MAILED, description="A guarded place was changed without approval.")
    error: Quiet = Field(_QUIET, description="A log record of level error.")
    ha_node_changed: Never = Field(_NEVER, description="The other node took over; not raised by this release.")
    limit_reached: Never = Field(_NEVER, description="A limit of the licence is reached; not raised by this release.")
    load_high: Mailed = Field(_MAILED, description="A limit of the load average is crossed.")
    login: Quiet = Field(_QUIET, description="Somebody logged in.")
    login_failure: Quiet = Field(_QUIET, description="A login was refused.")
    logout: Quiet = Field(_QUIET, description="A login session ended.")
    password_reset: Mailed = extension(_MAILED, description="The password of admin was reset on the machine.")
    swap_full: Mailed = Field(_MAILED, description="The limit of swap use is crossed.")
    time_sync_lost: Mailed = Field(_MAILED, description="The clock no longer follows its time servers.")
    timestamp_error: Never = Field(_NEVER, description="A time stamp could not be had; not raised by this release.")


def mail_not_configured(old: SystemAlerts, new: SystemAlerts, snapshot: Snapshot) -> Iterator[Problem]:
    """Warn who switches a mail on that nobody would get."""
    switched_on = any(way.email and not getattr(old, name).email for name, way in new)
    if switched_on and email.recipient(snapshot, "alerting") is None:
        message = "No mail leaves before management/email has a server and an address for alerts."
        yield Problem("mail_not_configured", message)


NODE: Singleton[SystemAlerts] = Singleton(
    title="System alerts",
    model=SystemAlerts,
    default=SystemAlerts().model_dump(mode="json"),
    step=mail_not_configured,
)
