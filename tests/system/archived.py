"""A gateway whose recordings go to a bucket."""

from __future__ import annotations

from typing import Any

from tests.support.server import Client
from tests.system.seaweed_support import ACCOUNT, SECRET, Seaweed
from tests.system.served import Served


def _made(admin: Client, path: str, body: dict[str, Any]) -> str:
    answer = admin.post(f"/api/configuration/{path}", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def archived(site: Served, seaweed: Seaweed, prefix: str = "served") -> None:
    """Have the recordings of all connections archived, below a prefix of the bucket ``backups``."""
    admin = site.server.login()
    target = {
        "type": "s3", "endpoint": seaweed.endpoint, "bucket": "backups", "prefix": prefix, "access_key_id": ACCOUNT,
        "secret_access_key": _made(admin, "passwords", {"plain": SECRET}),
        "server_certificate_ca": _made(admin, "x509", {"certificate": seaweed.authority.pem, "private_key": None}),
    }  # fmt: skip
    _made(
        admin,
        "policies/archive_cleanup_policies",
        {"name": "recordings", "retention_days": 14, "start_times": ["03:30"], "target": target, "template": "CONNECTIONDATE/"},
    )
    answer = admin.commit()
    assert answer.status_code == 200, answer.text
    said = site.cli("set", "--yes", "ssh/connections/quickstart.policies.archive_cleanup_policy", "recordings")
    assert said.code == 0, said.err
    assert "Recordings go to the archive in clear" in said.out + said.err
