"""Bodies of mail, alerts, syslog and monitoring that are accepted as they are."""

from __future__ import annotations

from typing import Any

KEY = "2c0e9a3c-6a43-4f2e-9b80-1f6f7b0f8a10"
PROTECTED: dict[str, Any] = {
    "client_authentication": {"enabled": True, "x509_identity": KEY},
    "server_certificate_check": {"enabled": True, "server_certificate_ca": KEY},
}
EMAIL: dict[str, Any] = {
    "admin_address": "admin@example.com",
    "alerting_address": "alerts@example.com",
    "reporting_address": "reports@example.com",
    "sender_address": "doorward@example.com",
    "smtp_auth": {"enabled": True, "password": KEY, "username": "doorward"},
    "smtp_encryption": {"selection": "starttls", **PROTECTED},
    "smtp_port": 587,
    "smtp_server": {"selection": "fqdn", "value": "mail.example.com"},
}
RECEIVER: dict[str, Any] = {
    "address": {"selection": "fqdn", "value": "log.example.com"},
    "message_format": "rfc3164",
    "port": 6514,
    "transport": {"selection": "tls", **PROTECTED},
}
NEVER = ("ha_node_changed", "limit_reached", "timestamp_error")
MAILED = (
    "backup_failed", "backup_overdue", "certificate_expiring", "cluster_central_lost", "cluster_node_offline",
    "cluster_sync_failed", "configuration_drift", "db_error", "disk_full", "load_high", "swap_full", "time_sync_lost",
)  # fmt: skip
QUIET = ("alert", "archive_failed", "config_change", "error", "login", "login_failure", "logout")
ALERTS: dict[str, Any] = {
    **{key: {"email": False, "snmp": False} for key in (*MAILED, *NEVER)},
    **{key: {"email": True, "snmp": False} for key in QUIET},
}
EXTENDED = ("approval_reset", "change_proposed", "clock_stepped", "drift_loop", "emergency_change", "password_reset")
"""Mailed too, and shown only where that is switched off."""
TRAFFIC: dict[str, Any] = {
    key: {"email": key == "host_key_learned", "snmp": False}
    for key in (
        "auth_failure", "auth_success", "channel_denied", "connection_denied", "connection_failed", "connection_timedout",
        "cred_store_closed", "cred_store_decrypt_error", "gw_auth_failure", "gw_auth_success", "host_key_learned",
        "protocol_violation", "ssh_host_key_mismatch", "user_mapping_failure",
    )
}  # fmt: skip
MONITORING: dict[str, Any] = {
    "maximum_disk_utilization_ratio": 90,
    "maximum_load1": 8,
    "maximum_load15": 2.5,
    "maximum_load5": 4,
    "maximum_swap_utilization_ratio": 50,
}
ENCRYPTED: dict[str, Any] = {
    "enabled": True,
    "gpg_public_key": {
        "fingerprint": "2F2E3967EDAD2F288E54EE8693B99C4F545B7670",
        "public_key": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQGNBF3rnZ0BDADH\n=j20J\n-----END PGP PUBLIC KEY BLOCK-----\n",
        "uids": ["Demo User <example@oneidentity.com>"],
    },
}
BACKING_UP: dict[str, Any] = {
    "management/exported_configuration_encryption": {"encryption": ENCRYPTED},
    "management/system_backup": {"backup_policy": KEY},
}
SENDING: dict[str, Any] = {
    "alerting/system_alerts": ALERTS,
    "alerting/traffic_alerts": TRAFFIC,
    "management/email": EMAIL,
    "management/health_monitoring": MONITORING,
    "management/syslog": {"receivers": [RECEIVER]},
}
