"""Bodies of everything about SSH sessions that are accepted as they are, with every member set."""

from __future__ import annotations

from typing import Any

KEY = "6e0f8a52-1f0b-4c39-8b1f-0d9d9c5c2a01"
AUTHORITY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAzyksCHWZ1EvdHxZRaoRZT4dRy9qBskmtVDBxgVmZKK"
AUDIT_DEFAULT, ALWAYS = "78101850949e47437dd91d", "-100"

OPTIONS: dict[str, Any] = {
    "channel_database_cleanup": {"days": 365, "enabled": True},
    "gssapi": {"enabled": False},
    "limits": {"per_address": 20, "sessions": 1000},
    "service": {"enabled": True, "log_level": 4},
}
ON = {"service": {"enabled": True}}

ACTIONS: dict[str, Any] = {"audit": True, "content_policy": None, "four_eyes": False, "keep_files": True}


def rule(channel: str, **own: Any) -> dict[str, Any]:
    """A rule as it is shown."""
    nobody: dict[str, Any] = {name: [] for name in ("clients", "gateway_groups", "remote_groups", "servers")}
    return {"actions": ACTIONS, "channel": channel, "time_policy": ALWAYS, **nobody, **own}


LOCAL_FORWARD: dict[str, Any] = {
    "host_address": {"selection": "domain", "value": "*.example.com"},
    "host_port": 5432,
    "originator_address": {"selection": "address", "value": "127.0.0.0/8"},
}
REMOTE_FORWARD: dict[str, Any] = {
    "connected_address": {"selection": "path", "value": "/run/x.sock"},
    "connected_port": None,
    "originator_address": None,
}
CHANNELS: dict[str, Any] = {
    "name": "admins",
    "rules": [
        rule("session-shell", clients=["10.0.0.0/8"], gateway_groups=["dba"], remote_groups=["wheel"], servers=["10.1.0.1/32"]),
        rule("session-exec", execs=["^uptime$"]),
        rule("session-subsystem", subsystems=["netconf"]),
        rule("x11", networks=[{"selection": "address", "value": "192.168.1.1/32"}]),
        rule("local-forwards", local_forwards=[LOCAL_FORWARD]),
        rule("remote-forwards", remote_forwards=[REMOTE_FORWARD]),
    ],
}
SWITCHES: dict[str, Any] = {
    "certificate": {"authorities": [AUTHORITY], "enabled": True},
    "keyboard_interactive": {"enabled": False},
    "password": {"enabled": True},
    "public_key": {"enabled": True},
}
AUTHENTICATION: dict[str, Any] = {
    "backend": {"selection": "accounts"},
    "client": SWITCHES,
    "name": "gate",
    "relayed": [
        {"selection": "agent"},
        {"key": KEY, "selection": "private_key"},
        {"ca_key": KEY, "seconds": 60, "selection": "certificate"},
        {"selection": "credential_store"},
    ],
    "require": [["public_key", "password"], ["certificate"]],
}
RADIUS: dict[str, Any] = {
    "backend": {
        "selection": "radius",
        "servers": [{"host": {"selection": "ip", "value": "192.0.2.9"}, "port": 1812, "secret": KEY}],
        "timeout": 5,
    },
    "client": {**SWITCHES, "certificate": {"enabled": False}, "public_key": {"enabled": False}},
    "name": "radius",
    "relayed": [{"selection": "password_prompt"}],
    "require": [],
}
ALGORITHMS: dict[str, Any] = {
    "cipher": ["aes256-ctr", "3des-cbc"],
    "compression": ["none"],
    "host_key": ["ssh-ed25519", "ssh-rsa"],
    "kex": ["curve25519-sha256", "diffie-hellman-group14-sha1"],
    "mac": ["hmac-sha2-256"],
}
SETTINGS: dict[str, Any] = {
    "allow_legacy": True,
    "client_side_algorithms": ALGORITHMS,
    "greeting": "Authorised use only.\nAll sessions are recorded.\n",
    "idle_timeout": 900,
    "keepalive": {"count": 3, "interval": 30},
    "name": "old-devices",
    "preconnect_channel_check": True,
    "rekey": {"bytes": 1 << 28, "seconds": 1800},
    "server_side_algorithms": ALGORITHMS,
    "session_timeout": 28_800,
    "strict_mode": False,
}
CONNECTION: dict[str, Any] = {
    "access_control": [
        {
            "authorizer": "search",
            "permission": "audit",
            "require_different_ip": True,
            "require_different_username": True,
            "subject": {"group": "dba", "selection": "only"},
        }
    ],
    "active": True,
    "channel_database_cleanup": {"enabled": False},
    "client_side_hostkeys": {"keys": [KEY], "selection": "own"},
    "indexing": {"enabled": True, "policy": None, "priority": 2},
    "log_audit_trail_downloads": True,
    "name": "linux",
    "network": {"clients": ["0.0.0.0/0", "::/0"], "ports": [2222], "targets": ["127.0.0.1/32"]},
    "override_log_level": {"enabled": False},
    "policies": {
        "aa_plugin": None,
        "analytics_policy": None,
        "archive_cleanup_policy": None,
        "audit_policy": AUDIT_DEFAULT,
        "authentication_policy": "-200",
        "backup_policy": None,
        "channel_policy": "-210",
        "credential_store": None,
        "ldap_server": None,
        "settings": "-300",
        "usermapping_policy": None,
    },
    "server_address": {
        "dns_server": "192.0.2.53",
        "dns_suffixes": ["example.com"],
        "domains": [
            {"domain": {"selection": "address", "value": "10.0.0.0/8"}, "port": 22},
            {"domain": {"selection": "domain", "value": "*.example.com"}, "port": None},
        ],
        "exception_domains": [{"domain": {"selection": "domain", "value": "secret.example.com"}, "port": None}],
        "selection": "inband",
    },
    "server_side_hostkeys": {"authorities": [AUTHORITY], "plain_hostkey": {"check": "trusted_only"}},
    "source_address": {"address": "192.0.2.10", "selection": "fix"},
    "web_gateway_authentication": {"enabled": False},
}
DEFAULTS: dict[str, Any] = {
    "access_control": [],
    "active": True,
    "channel_database_cleanup": {"enabled": False},
    "client_side_hostkeys": {"selection": "appliance"},
    "indexing": {"enabled": True, "policy": None, "priority": 2},
    "log_audit_trail_downloads": True,
    "override_log_level": {"enabled": False},
    "server_side_hostkeys": {"authorities": [], "plain_hostkey": {"check": "trusted_only"}},
    "source_address": {"selection": "box_address"},
    "web_gateway_authentication": {"enabled": False},
}
SHORT: dict[str, Any] = {
    "name": "linux",
    "network": CONNECTION["network"],
    "policies": {
        "audit_policy": AUDIT_DEFAULT,
        "authentication_policy": "-200",
        "channel_policy": "-210",
        "settings": "-300",
    },
    "server_address": {
        "domains": [{"domain": {"selection": "address", "value": "10.0.0.0/8"}, "port": 22}],
        "selection": "inband",
    },
}
USER_DATABASE: dict[str, Any] = {
    "name": "contractors",
    "users": [
        {"certificates": [], "groups": ["dba"], "passwords": [KEY], "public_keys": [AUTHORITY], "username": "jane"},
        {"certificates": [], "passwords": [], "public_keys": [], "username": "joe"},
    ],
}
CREDENTIALS: dict[str, Any] = {
    "credentials": [
        {"host": "10.20.0.0/16", "password": KEY, "private_key": None, "username": "oracle"},
        {"host": "*.db.example.com", "password": None, "private_key": KEY, "username": "root"},
    ],
    "name": "servers",
    "selection": "local",
}
MAPPING: dict[str, Any] = {
    "allow_unmapped": False,
    "name": "databases",
    "rules": [{"gateway_groups": ["dba"], "gateway_users": ["jane"], "server_username": "oracle"}],
}

SESSIONS: dict[str, Any] = {
    "local_services/indexer": {
        "decryption_keys": [KEY],
        "integrated": {"number_of_near_realtime_workers": 0, "number_of_workers": 0},
        "remote_access": {"enabled": False},
    },
    "management/disk_fillup_prevention": {"archiving_enabled": False, "enabled": True, "used_space_ratio_limit": 90},
    "policies/credentialstores": CREDENTIALS,
    "policies/indexing": {"name": "commands-only", "text": "commands"},
    "policies/user_databases": USER_DATABASE,
    "policies/usermapping_policies": MAPPING,
    "ssh/authentication_policies": AUTHENTICATION,
    "ssh/channel_policies": CHANNELS,
    "ssh/connections": CONNECTION,
    "ssh/host_keys": {"keys": [KEY]},
    "ssh/options": OPTIONS,
    "ssh/settings_policies": SETTINGS,
}
REFERRING = {
    "local_services/indexer", "policies/credentialstores", "policies/user_databases", "ssh/authentication_policies",
    "ssh/channel_policies", "ssh/connections", "ssh/host_keys",
}  # fmt: skip
