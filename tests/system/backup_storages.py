"""Real servers of every kind that backups go to, each as what a policy and a test have to know of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.system import ganesha_support, samba_support
from tests.system.backup_support import Proxy, address, open_directory
from tests.system.ganesha_support import Ganesha
from tests.system.samba_support import Samba
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
        directories = {kind: stack.enter_context(open_directory(kind)) for kind in ("nfs", "rsync", "smb")}
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
        inside = directories["nfs"] / "backup" / "doorward"
        inside.mkdir()
        os.chown(inside, ganesha_support.OWNER, ganesha_support.OWNER)
        yield {
            "nfs": NfsStorage(inside, ganesha),
            "rsync": SshStorage(backups, sshd, private),
            "smb": SmbStorage(directories["smb"] / "backup", samba),
        }
