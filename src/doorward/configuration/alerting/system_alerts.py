"""Alerts about the appliance itself. No mail leaves the appliance in this release, so none is switched on."""

from doorward.tree.nodes import Singleton, later

_EVENTS = (
    "alert",
    "archive_failed",
    "backup_failed",
    "backup_overdue",
    "certificate_expiring",
    "cluster_central_lost",
    "cluster_node_offline",
    "cluster_sync_failed",
    "config_change",
    "configuration_drift",
    "db_error",
    "disk_full",
    "error",
    "ha_node_changed",
    "limit_reached",
    "load_high",
    "login",
    "login_failure",
    "logout",
    "swap_full",
    "time_sync_lost",
    "timestamp_error",
)

NODE = later(Singleton, default={event: {"email": False, "snmp": False} for event in _EVENTS})
