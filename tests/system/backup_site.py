"""A real Doorward that backs up to a real sshd with rsync, for tests that go through the API."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import openpgp
from tests.support.server import Client, Server, until
from tests.system.backup_support import address, open_directory
from tests.system.mail_server import MailServer
from tests.system.sshd_support import ACCOUNT, OWNER, Sshd, key_pair

ROOT = "/api/configuration"
POLICIES, SELECTED = f"{ROOT}/policies/backup_policies", f"{ROOT}/management/system_backup"
ENCRYPTION, EMAIL = f"{ROOT}/management/exported_configuration_encryption", f"{ROOT}/management/email"
BACKUP = "/api/backup"
SECRETS = {"rsync": ("private_keys", "private_key"), "s3": ("passwords", "plain"), "smb": ("passwords", "plain")}
"""The store in which the secret of a policy is, and the member that brings it."""
RUNS, DRILLS, FILES, STATUS = (f"{BACKUP}/{name}" for name in ("runs", "drills", "files", "status"))


@dataclass
class Storage:
    """An account on an SSH server, and the directory in it that backups go to."""

    sshd: Sshd
    secret: str
    kind: str = "rsync"

    @property
    def path(self) -> Path:
        """The directory of the policy."""
        return self.sshd.directory / "backups"

    @property
    def config(self) -> Path:
        """Where the files come to lie."""
        return self.path / "config"

    def names(self) -> list[str]:
        """What lies there, in order."""
        return sorted(file.name for file in self.config.iterdir()) if self.config.exists() else []

    def target(self, key: str, **changed: Any) -> dict[str, Any]:
        """The target of a policy; ``key`` is that of the private key in the configuration."""
        return {
            "authentication_key": key, "path": str(self.path), "port": self.sshd.port, "server": address("127.0.0.1"),
            "server_host_keys": [self.sshd.host_key], "type": "rsync", "username": ACCOUNT, **changed,
        }  # fmt: skip


@contextlib.contextmanager
def storage(tmp_path: Path) -> Iterator[Storage]:
    """A server to back up to."""
    private, public = key_pair(tmp_path, "client")
    with open_directory("backups") as directory:
        made = Storage(Sshd(directory, [public]).start(), private)
        made.path.mkdir(mode=0o755)
        os.chown(made.path, OWNER, OWNER)
        try:
            yield made
        finally:
            made.sshd.stop()


class Site:
    """A node and its backups, as a client sees them."""

    def __init__(self, server: Server, kept: Any) -> None:
        self.server, self.storage = server, kept
        self.admin: Client = server.login()
        self.policy = ""

    def write(self, method: str, path: str, value: Any) -> Any:
        """Send a write; return the answer."""
        answer = self.admin.send(method, path, value)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def set_up(self, *, encrypted: bool = True, mail: MailServer | None = None, **policy: Any) -> str:
        """Commit a policy and select it."""
        self.admin.post("/api/transaction")
        key = self.secret(self.storage.secret)
        if self.storage.kind == "s3":
            self.storage.ca = self.write("POST", f"{ROOT}/x509", {"certificate": self.storage.authority})["key"]
        body = {"name": "nightly", "target": self.storage.target(key), **policy}
        self.policy = self.write("POST", POLICIES, body)["key"]
        self.write("PUT", SELECTED, {"backup_policy": self.policy})
        self.write("PUT", f"{ROOT}/datetime/timezone", "UTC")
        if encrypted:
            gpg = {"public_key": openpgp.public_key("good")}
            self.write("PUT", ENCRYPTION, {"encryption": {"enabled": True, "gpg_public_key": gpg}})
        if mail is not None:
            settings = {"admin_address": "admin@example.com", "reporting_address": "reports@example.com"}
            self.write("PUT", EMAIL, {**settings, "smtp_port": mail.port, "smtp_server": address("127.0.0.1")})
        self.commit()
        return self.policy

    def secret(self, text: str | None) -> str:
        """Bring what to log in on the target with; its key."""
        if text is None:
            return ""
        store, member = SECRETS[self.storage.kind]
        return str(self.write("POST", f"{ROOT}/{store}", {member: text})["key"])

    def change(self, **members: Any) -> None:
        """Commit other members of the policy."""
        self.admin.post("/api/transaction")
        body = {**self.admin.body(f"{POLICIES}/{self.policy}"), "target": self.target()}
        self.write("PUT", f"{POLICIES}/{self.policy}", {**body, **members})
        self.commit()

    def target(self) -> dict[str, Any]:
        """The target of the policy, as it can be written again."""
        found: dict[str, Any] = self.admin.body(f"{POLICIES}/{self.policy}")["target"]
        references = ("authentication_key", "secret_access_key", "server_certificate_ca")
        for holder, member in (*((found, name) for name in references), (found.get("authentication", {}), "password")):
            if member in holder:
                holder[member] = holder[member]["key"]
        return found

    def commit(self) -> None:
        """Commit what was written."""
        answer = self.admin.commit()
        assert answer.status_code == 200, answer.text

    def now(self) -> str:
        """Ask for a backup; return the path of the run."""
        answer = self.admin.post(RUNS)
        assert answer.status_code == 202, answer.text
        return str(answer.headers["location"])

    def finished(self, path: str, seconds: float = 60) -> dict[str, Any]:
        """Wait for the end of a run or a drill; return its body."""
        seen: dict[str, Any] = {}

        def over() -> bool:
            seen.update(self.admin.body(path))
            return seen["ended"] is not None

        try:
            until(over, seconds)
        except AssertionError:
            raise AssertionError(f"not over in {seconds} s: {seen}") from None
        return seen

    def back_up(self) -> dict[str, Any]:
        """Back up now and wait for the end."""
        return self.finished(self.now())

    def drill(self, source: dict[str, Any], **members: Any) -> dict[str, Any]:
        """Drill and wait for the end."""
        answer = self.admin.post(DRILLS, {"source": source, **members})
        assert answer.status_code == 202, answer.text
        return self.finished(answer.headers["location"])

    def items(self, path: str) -> list[dict[str, Any]]:
        """The items of a collection."""
        answer = self.admin.get(path)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found
