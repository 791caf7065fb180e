"""Real servers of every kind that backups go to, each as what a policy and a test have to know of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.system import ganesha_support, samba_support, seaweed_support
from tests.system.backup_support import Proxy, address, open_directory
from tests.system.ganesha_support import Ganesha
from tests.system.samba_support import Samba
from tests.system.seaweed_support import Seaweed
from tests.system.sshd_support import ACCOUNT, OWNER, Sshd, key_pair


@dataclass
class Named:
    """What every storage tells of its directory."""

    path: Path

    @property
    def config(self) -> Path:
        """Where the files come to lie."""
        return self.path / "config"

    def names(self) -> list[str]:
        """What lies there, in order."""
        return sorted(file.name for file in self.config.iterdir()) if self.config.exists() else []

    def content(self, name: str) -> bytes:
        """What is in a file there."""
        return (self.config / name).read_bytes()


@dataclass
class SshStorage(Named):
    """An account on an SSH server."""

    sshd: Sshd
    secret: str
    kind: str = "rsync"
    port: int = field(default_factory=free_port)

    def target(self, key: str, **changed: Any) -> dict[str, Any]:
        return {
            "authentication_key": key, "path": str(self.path), "port": self.sshd.port, "server": address("127.0.0.1"),
            "server_host_keys": [self.sshd.host_key], "type": "rsync", "username": ACCOUNT, **changed,
        }  # fmt: skip

    def aside(self) -> dict[str, Any]:
        return {"port": self.port}

    def proxies(self) -> Iterator[Proxy]:
        yield Proxy(("127.0.0.1", self.sshd.port), port=self.port)

    @contextmanager
    def shut(self) -> Iterator[str]:
        """The server takes the key no longer."""
        keys = self.sshd.keys
        self.sshd.authorize()
        try:
            yield "auth_failed"
        finally:
            self.sshd.authorize(*keys)

    def held_by(self, home: Path) -> None:
        """Give somebody what it takes to log in."""
        (home / "backup-key").write_text(self.secret)
        (home / "backup-key").chmod(0o600)
        (home / "known_hosts").write_text(f"[127.0.0.1]:{self.sshd.port} {self.sshd.host_key}\n")

    def variables(self) -> dict[str, str]:
        """What the line in ``docs/recovery.md`` has to know."""
        return {"PORT": str(self.sshd.port), "ACCOUNT": ACCOUNT, "SERVER": "127.0.0.1", "DIRECTORY": str(self.path)}

    def logins(self) -> int:
        """How often somebody has logged in."""
        return (self.sshd.directory / "log").read_text().count("Accepted publickey")


@dataclass
class SmbStorage(Named):
    """A share."""

    samba: Samba
    kind: str = "smb"
    secret: str = samba_support.PASSWORD
    port: int = field(default_factory=free_port)

    def target(self, key: str, **changed: Any) -> dict[str, Any]:
        login = {"selection": "password", "username": samba_support.ACCOUNT, "domain": None, "password": key}
        return {
            "authentication": login, "encryption": True, "path": "", "port": self.samba.port, "protocol_version": "auto",
            "server": address("127.0.0.1"), "share": "backup", "type": "smb", **changed,
        }  # fmt: skip

    def aside(self) -> dict[str, Any]:
        return {"port": self.port}

    def proxies(self) -> Iterator[Proxy]:
        yield Proxy(("127.0.0.1", self.samba.port), port=self.port)

    @contextmanager
    def shut(self) -> Iterator[str]:
        """The account is locked."""
        self.samba.account("-d")
        try:
            yield "auth_failed"
        finally:
            self.samba.account("-e")


@dataclass
class NfsStorage(Named):
    """An export."""

    ganesha: Ganesha
    kind: str = "nfs"
    secret: None = None

    def target(self, _key: str, **changed: Any) -> dict[str, Any]:
        return {"path": str(self.path), "server": address(self.ganesha.address), "type": "nfs", **changed}

    @property
    def _near(self) -> str:
        return f"127.9.{self.ganesha.network >> 8}.{self.ganesha.network & 0xFF}"

    def aside(self) -> dict[str, Any]:
        return {"server": address(self._near)}

    def proxies(self) -> Iterator[Proxy]:
        for port in (20048, 111, 2049):
            yield Proxy((self.ganesha.address, port), self._near, port)

    @contextmanager
    def shut(self) -> Iterator[str]:
        """Somebody else took the directory."""
        os.chown(self.config, 0, 0)
        try:
            yield "permission_denied"
        finally:
            os.chown(self.config, ganesha_support.OWNER, ganesha_support.OWNER)


@dataclass
class S3Storage:
    """A bucket."""

    seaweed: Seaweed
    kind: str = "s3"
    secret: str = seaweed_support.SECRET
    port: int = field(default_factory=free_port)
    ca: str = ""
    """Key of the certificate of its authority, in the configuration that is asked for a target."""

    @property
    def authority(self) -> str:
        """Who signed the certificate of the server."""
        return self.seaweed.authority.pem

    def target(self, key: str, **changed: Any) -> dict[str, Any]:
        return {
            "access_key_id": seaweed_support.ACCOUNT, "bucket": "backups", "endpoint": self.seaweed.endpoint,
            "object_lock": {"enabled": False}, "path_style": True, "prefix": "", "region": "us-east-1",
            "secret_access_key": key, "server_certificate_ca": self.ca, "type": "s3", **changed,
        }  # fmt: skip

    def names(self) -> list[str]:
        """What lies there, in order."""
        return self.seaweed.names("backups", "config/")

    def content(self, name: str) -> bytes:
        """What is in a file there."""
        return self.seaweed.ask("GET", f"backups/config/{name}").content

    def held_by(self, home: Path) -> None:
        """Give somebody what it takes to log in."""
        (home / "s3.conf").write_text(f'user = "{seaweed_support.ACCOUNT}:{seaweed_support.SECRET}"\n')
        (home / "ca.pem").write_text(self.authority)

    def variables(self) -> dict[str, str]:
        """What the line in ``docs/recovery.md`` has to know."""
        return {"REGION": "us-east-1", "ENDPOINT": self.seaweed.endpoint, "BUCKET": "backups"}

    def aside(self) -> dict[str, Any]:
        return {"endpoint": f"https://127.0.0.1:{self.port}"}

    def proxies(self) -> Iterator[Proxy]:
        yield Proxy(("127.0.0.1", self.seaweed.port), port=self.port)

    @contextmanager
    def shut(self) -> Iterator[str]:
        """The account has another secret."""
        self.seaweed.change_secret("another one")
        try:
            yield "auth_failed"
        finally:
            self.seaweed.change_secret(seaweed_support.SECRET)


@contextmanager
def answering(storage: Any) -> Iterator[Proxy]:
    """Answer at the place of its own; the proxy that carries the files."""
    with ExitStack() as stack:
        found = [stack.enter_context(proxy) for proxy in storage.proxies()]
        yield found[-1]


@contextmanager
def storages(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """One of each kind."""
    with ExitStack() as stack:
        directories = {kind: stack.enter_context(open_directory(kind)) for kind in ("nfs", "rsync", "s3", "smb")}
        private, public = key_pair(tmp_path, "client")
        sshd = Sshd(directories["rsync"], [public]).start()
        stack.callback(sshd.stop)
        backups = directories["rsync"] / "backups"
        backups.mkdir(mode=0o755)
        os.chown(backups, OWNER, OWNER)
        samba = Samba(directories["smb"], {"backup": "read only = no"}).start()
        stack.callback(samba.stop)
        ganesha = Ganesha(directories["nfs"], {"backup": "Access_Type = RW;"})
        stack.callback(ganesha.stop)
        ganesha.start()
        seaweed = Seaweed(directories["s3"]).start()
        stack.callback(seaweed.stop)
        seaweed.bucket("backups")
        inside = directories["nfs"] / "backup" / "doorward"
        inside.mkdir()
        os.chown(inside, ganesha_support.OWNER, ganesha_support.OWNER)
        yield {
            "nfs": NfsStorage(inside, ganesha),
            "rsync": SshStorage(backups, sshd, private),
            "s3": S3Storage(seaweed),
            "smb": SmbStorage(directories["smb"] / "backup", samba),
        }
