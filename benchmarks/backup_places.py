"""Real servers to back up to, and how the same is done by hand: rsync over SSH, smbclient, nfs-cp."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.backup_support import address
from tests.system.ganesha_support import Ganesha
from tests.system.samba_support import ACCOUNT as SMB_ACCOUNT
from tests.system.samba_support import PASSWORD, Samba
from tests.system.sshd_support import ACCOUNT, OWNER, Sshd, key_pair

_PROGRAMS = ("ganesha.nfsd", "nfs-cp", "rpcbind", "rsync", "smbclient", "smbd", "sshd", "zstd")


@dataclass(frozen=True)
class Place:
    """A directory on a server.

    ``target``: the body of a policy's target, ``secret`` what it refers to: the store, the name that stands in the body for its
    key, the text. ``put`` and ``get``: commands of the person at the keyboard, in which NAME is the file there and FILE the one
    here. ``path``: where the server keeps the files.
    """

    kind: str
    by_hand: str
    target: dict[str, Any]
    secret: tuple[str, str, str] | None
    put: Sequence[str]
    get: Sequence[str]
    path: Path


def need_programs() -> None:
    """Exit with a sentence unless all servers and clients are installed."""
    absent = [name for name in _PROGRAMS if shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin") is None]
    if absent:
        sys.exit(f"Not installed, but needed (Debian packages of the tests, libnfs-utils, smbclient): {' '.join(absent)}")


@contextmanager
def rsync(directory: Path) -> Iterator[Place]:
    """An account on an SSH server."""
    private, public = key_pair(directory, "key")
    server = Sshd(directory / "ssh", [public]).start()
    path = _new(directory / "rsync")
    os.chown(path, OWNER, OWNER)
    known = directory / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    target = {
        "type": "rsync", "server": address("127.0.0.1"), "port": server.port, "username": ACCOUNT, "path": str(path),
        "authentication_key": "key", "server_host_keys": [server.host_key],
    }  # fmt: skip
    shell = f"ssh -F /dev/null -p {server.port} -i {directory / 'key'} -o UserKnownHostsFile={known} -l {ACCOUNT}"
    there = f"127.0.0.1:{path}/NAME"
    put, get = ["rsync", "-e", shell, "--fsync", "FILE", there], ["rsync", "-e", shell, there, "FILE"]
    try:
        yield Place("rsync", "rsync over ssh", target, ("private_keys", "key", private), put, get, path)
    finally:
        server.stop()


@contextmanager
def smb(directory: Path) -> Iterator[Place]:
    """An encrypted share of a Samba."""
    server = Samba(_new(directory / "samba"), {"backup": "read only = no"}).start()
    target = {
        "type": "smb", "server": address("127.0.0.1"), "port": server.port, "share": "backup", "path": "",
        "authentication": {"selection": "password", "username": SMB_ACCOUNT, "domain": None, "password": "key"},
        "protocol_version": "auto", "encryption": True,
    }  # fmt: skip
    login = directory / "login"
    login.write_text(f"username = {SMB_ACCOUNT}\npassword = {PASSWORD}\n")
    client = ["smbclient", "//127.0.0.1/backup", "-p", str(server.port), "-A", str(login), "--client-protection=encrypt", "-c"]
    try:
        yield Place(
            "smb", "smbclient", target, ("passwords", "key", PASSWORD), [*client, "put FILE NAME"], [*client, "get NAME FILE"],
            server.directory / "backup",
        )  # fmt: skip
    finally:
        server.stop()


@contextmanager
def nfs(directory: Path) -> Iterator[Place]:
    """An export of an NFSv3 server."""
    server = Ganesha(_new(directory / "ganesha"), {"backup": "Access_Type = RW;"}).start()
    path = server.directory / "backup"
    target = {"type": "nfs", "server": address(server.address), "path": str(path)}
    there = f"nfs://{server.address}{path}/NAME?version=3"
    try:
        yield Place("nfs", "nfs-cp", target, None, ["nfs-cp", "FILE", there], ["nfs-cp", there, "FILE"], path)
    finally:
        server.stop()


PLACES = (rsync, smb, nfs)


def filled_in(command: Sequence[str], file: Path, name: str) -> list[str]:
    """Return a command for a file here and a name there."""
    return [word.replace("FILE", str(file)).replace("NAME", name) for word in command]


def _new(path: Path) -> Path:
    path.mkdir()
    return path
