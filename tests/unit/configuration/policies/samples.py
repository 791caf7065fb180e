"""Bodies of stores and policies that are accepted as they are, and ways to put them into a configuration."""

from __future__ import annotations

from typing import Any

KEY = "6e0f8a52-1f0b-4c39-8b1f-0d9d9c5c2a01"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAzyksCHWZ1EvdHxZRaoRZT4dRy9qBskmtVDBxgVmZKK"

RSYNC: dict[str, Any] = {
    "authentication_key": KEY,
    "path": "/srv/backup/doorward",
    "port": 22,
    "server": {"selection": "fqdn", "value": "backup.example.com"},
    "server_host_keys": [HOST_KEY],
    "type": "rsync",
    "username": "doorward",
}
SMB: dict[str, Any] = {
    "authentication": {"domain": "EXAMPLE", "password": KEY, "selection": "password", "username": "svc-backup"},
    "encryption": True,
    "path": "doorward/node1",
    "port": 445,
    "protocol_version": "auto",
    "server": {"selection": "ip", "value": "10.20.30.40"},
    "share": "backup$",
    "type": "smb",
}
ANONYMOUS = {**SMB, "authentication": {"selection": "anonymous"}, "encryption": False}
NFS: dict[str, Any] = {"path": "/data/backup", "server": {"selection": "ip", "value": "1.2.3.5"}, "type": "nfs"}
S3: dict[str, Any] = {
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "bucket": "doorward-backups",
    "endpoint": "https://s3.example.com:9000",
    "object_lock": {"days": 30, "enabled": True, "mode": "compliance"},
    "path_style": True,
    "prefix": "doorward/node1",
    "region": "us-east-1",
    "secret_access_key": KEY,
    "server_certificate_ca": None,
    "type": "s3",
}

BACKUP: dict[str, Any] = {
    "include_node_id_in_path": True,
    "name": "nightly-rsync",
    "notification_event": {"type": "errors-only"},
    "retention": {"enabled": True, "keep_days": 90, "keep_last": 14},
    "start_times": ["01:30", "13:30"],
    "target": RSYNC,
}
BACKUP_SMB: dict[str, Any] = {
    "include_node_id_in_path": False,
    "name": "weekly-smb",
    "notification_event": {"file_count_limit": 100, "send_filelist": True, "type": "all"},
    "retention": {"enabled": False},
    "start_times": ["23:00"],
    "target": SMB,
}
BACKUP_NFS: dict[str, Any] = {
    "include_node_id_in_path": False,
    "name": "nfs-by-hand",
    "notification_event": {"type": "none"},
    "retention": {"enabled": False},
    "start_times": [],
    "target": NFS,
}
BACKUP_S3: dict[str, Any] = {
    "include_node_id_in_path": False,
    "name": "object-store",
    "notification_event": {"type": "errors-only"},
    "retention": {"enabled": True, "keep_days": 30, "keep_last": 7},
    "start_times": ["02:15"],
    "target": S3,
}
ARCHIVE: dict[str, Any] = {
    "include_node_id_in_path": False,
    "name": "archive_all_with_filelist",
    "notification_event": {"file_count_limit": 123456, "send_filelist": True, "type": "all"},
    "retention_days": 30,
    "start_times": ["10:10"],
    "target": NFS,
    "template": "PROTOCOL/CONNECTION/ARCHIVEDATE/",
}
AUDIT_DEFAULT: dict[str, Any] = {
    "encryption": {"enabled": False},
    "name": "default",
    "signing": {"enabled": False},
    "signing_and_timestamping_interval": 30,
    "timestamping": {"enabled": False},
}
REMOTE_AUTHORITY: dict[str, Any] = {
    "oid": {"enabled": True, "policy_oid": "2.3.5.3.1.5.32.322.32"},
    "selection": "remote",
    "server_url": "http://tsa.example.com/",
}
AUDIT: dict[str, Any] = {
    "encryption": {"certificates": [KEY], "enabled": True},
    "name": "sealed",
    "signing": {"enabled": True, "x509_identity": KEY},
    "signing_and_timestamping_interval": 60,
    "timestamping": {"enabled": True, "server": REMOTE_AUTHORITY},
}
LDAP: dict[str, Any] = {
    "bind_dn": None,
    "bind_password": None,
    "encryption": {
        "selection": "starttls",
        "server_certificate_check": {"enabled": True, "server_certificate_ca": None},
    },
    "group_base_dn": "ou=groups,dc=example,dc=com",
    "name": "posix-simple",
    "schema": {
        "memberof_check": {"enabled": False},
        "membership_check": {"enabled": True, "member_uid_attribute": "memberUid"},
        "selection": "posix",
        "username_attribute": "uid",
    },
    "servers": [{"host": {"selection": "fqdn", "value": "ldap.example.com"}, "port": 389}],
    "user_base_dn": "ou=people,dc=example,dc=com",
}
LDAP_AD: dict[str, Any] = {
    **LDAP,
    "bind_dn": "CN=doorward,CN=Users,DC=example,DC=com",
    "bind_password": KEY,
    "encryption": {"selection": "ldaps", "server_certificate_check": {"enabled": True, "server_certificate_ca": KEY}},
    "name": "ad",
    "schema": {"memberof_check": {"enabled": True}, "selection": "ad"},
}
ALWAYS: dict[str, Any] = {
    **{day: [["0:00", "23:59"]] for day in ("Fri", "Mon", "Sat", "Sun", "Thu", "Tue", "Wed")},
    "name": "7x24",
}
OFFICE: dict[str, Any] = {
    **{day: [["8:00", "11:59"], ["13:00", "17:30"]] for day in ("Mon", "Tue", "Wed", "Thu", "Fri")},
    "Sat": [["09:00", "9:01"]],
    "Sun": [],
    "name": "office",
}

STORES: dict[str, Any] = {
    "private_keys": {"generate": {"selection": "ed25519"}, "private_key": None},
    "x509": {"certificate": "-----BEGIN CERTIFICATE-----\n", "private_key": "-----BEGIN PRIVATE KEY-----\n"},
}
POLICIES: dict[str, Any] = {
    "policies/archive_cleanup_policies": ARCHIVE,
    "policies/audit_policies": AUDIT,
    "policies/backup_policies": BACKUP_SMB,
    "policies/ldap_servers": LDAP_AD,
    "policies/time_policies": OFFICE,
}
