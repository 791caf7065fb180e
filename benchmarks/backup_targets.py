"""A backup's way to its target and back, beside the same by hand: rsync, smbclient and nfs-cp against the same servers.

The measuring runs again as a child, ``python -m benchmarks.backup_targets``, in a network namespace of its own: the NFS server
brings a network card.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import in_turns, ratio
from benchmarks.report import Table
from doorward.backup.targets.port import open_target
from tests.system.backup_support import NODE, address, open_directory
from tests.system.ganesha_support import Ganesha
from tests.system.samba_support import ACCOUNT as SMB_ACCOUNT
from tests.system.samba_support import PASSWORD, Samba
from tests.system.sshd_support import ACCOUNT, OWNER, Sshd, key_pair

if TYPE_CHECKING:
    from benchmarks.scenarios import Bench

_MEBIBYTES = 60
_CHECKOUT = Path(__file__).resolve().parent.parent
_PROGRAMS = ("ganesha.nfsd", "nfs-cp", "rpcbind", "rsync", "smbclient", "smbd", "sshd")
_NAME = "doorward-20261121T230002Z-46f97a58.config.gpg"

Party = Callable[[], float]


def backup_targets(bench: Bench) -> Table:
    """60 MiB written to each kind of target and read back, login included."""
    absent = [name for name in _PROGRAMS if shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin") is None]
    if absent:
        sys.exit(f"Not installed, but needed (Debian packages of the tests, libnfs-utils, smbclient): {' '.join(absent)}")
    command = [sys.executable, "-m", "benchmarks.backup_targets", str(bench.core), str(bench.effort.rounds)]
    said = subprocess.run([str(_CHECKOUT / "scripts" / "offline"), *command], cwd=_CHECKOUT, check=True, stdout=subprocess.PIPE)
    rows = json.loads(said.stdout)
    return Table("backup_targets", f"{_MEBIBYTES} MiB written, flushed, checked and read back, login included", rows)


def _measured(core: int, rounds: int) -> list[dict[str, Any]]:
    """Return the rows: servers on one core, what is measured on the others."""
    rows = []
    usable = os.sched_getaffinity(0)
    with open_directory("bench") as directory, ExitStack() as stack:
        content = directory / _NAME
        content.write_bytes(os.urandom(_MEBIBYTES * 1024 * 1024))
        os.sched_setaffinity(0, {core})
        kinds = {
            name: stack.enter_context(made(directory, content))
            for name, made in (("rsync", _rsync), ("smb", _smb), ("nfs", _nfs))
        }
        os.sched_setaffinity(0, usable)
        for kind, parties in kinds.items():
            for party in parties.values():
                party()
            found = in_turns(parties, rounds)
            ours = found[f"Doorward, {kind}"]
            for name, seconds in found.items():
                rows.append({
                    "party": name, "seconds": statistics.median(seconds), "slowest s": max(seconds),
                    "ours : by hand": ratio(ours, seconds),
                })  # fmt: skip
    return rows


def _ours(body: dict[str, Any], secrets: dict[str, str], directory: Path, content: Path) -> float:
    back = directory / "back"
    back.unlink(missing_ok=True)
    began = time.monotonic()
    with open_target(body, secrets.get, node=NODE, per_node=False, stop=threading.Event(), workdir=directory / "work") as target:
        target.prepare()
        target.put(_NAME, content)
        target.fetch(_NAME, back)
        seconds = time.monotonic() - began
        target.delete(_NAME)
    _same(content, back)
    return seconds


def _by_hand(commands: list[list[str]], place: Path, content: Path, back: Path) -> float:
    """Run commands, in which a name of its own takes the place of NAME: servers remember the file that had it before."""
    back.unlink(missing_ok=True)
    name = f"by-hand-{uuid.uuid4()}"
    began = time.monotonic()
    for command in commands:
        words = [word.replace("NAME", name) for word in command]
        subprocess.run(
            words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60
        )
    seconds = time.monotonic() - began
    _same(content, back)
    (place / name).unlink()
    return seconds


def _same(content: Path, back: Path) -> None:
    if content.read_bytes() != back.read_bytes():
        raise RuntimeError("what came back is not what was sent")


def _place(path: Path) -> Path:
    path.mkdir()
    os.chown(path, OWNER, OWNER)
    return path


@contextmanager
def _rsync(directory: Path, content: Path) -> Iterator[dict[str, Party]]:
    private, public = key_pair(directory, "key")
    server = Sshd(directory / "ssh", [public]).start()
    place = _place(directory / "rsync")
    known = directory / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    body = {
        "type": "rsync", "server": address("127.0.0.1"), "port": server.port, "username": ACCOUNT, "path": str(place),
        "authentication_key": "key", "server_host_keys": [server.host_key],
    }  # fmt: skip
    shell = f"ssh -F /dev/null -p {server.port} -i {directory / 'key'} -o UserKnownHostsFile={known} -l {ACCOUNT}"
    there, back = f"127.0.0.1:{place}/NAME", directory / "back"
    commands = [["rsync", "-e", shell, "--fsync", str(content), there], ["rsync", "-e", shell, there, str(back)]]
    try:
        yield {
            "Doorward, rsync": partial(_ours, body, {"key": private}, directory, content),
            "rsync over ssh": partial(_by_hand, commands, place, content, back),
        }
    finally:
        server.stop()


@contextmanager
def _smb(directory: Path, content: Path) -> Iterator[dict[str, Party]]:
    server = Samba(_folder(directory / "samba"), {"backup": "read only = no"}).start()
    body = {
        "type": "smb", "server": address("127.0.0.1"), "port": server.port, "share": "backup", "path": "",
        "authentication": {"selection": "password", "username": SMB_ACCOUNT, "domain": None, "password": "password"},
        "protocol_version": "auto", "encryption": True,
    }  # fmt: skip
    login, back = directory / "login", directory / "back"
    login.write_text(f"username = {SMB_ACCOUNT}\npassword = {PASSWORD}\n")
    command = [
        "smbclient", "//127.0.0.1/backup", "-p", str(server.port), "-A", str(login), "--client-protection=encrypt",
        "-c", f"put {content} NAME; get NAME {back}",
    ]  # fmt: skip
    try:
        yield {
            "Doorward, smb": partial(_ours, body, {"password": PASSWORD}, directory, content),
            "smbclient": partial(_by_hand, [command], server.directory / "backup", content, back),
        }
    finally:
        server.stop()


@contextmanager
def _nfs(directory: Path, content: Path) -> Iterator[dict[str, Party]]:
    server = Ganesha(_folder(directory / "ganesha"), {"backup": "Access_Type = RW;"}).start()
    place, back = server.directory / "backup", directory / "back"
    body = {"type": "nfs", "server": address(server.address), "path": str(place)}
    there = f"nfs://{server.address}{place}/NAME?version=3"
    commands = [["nfs-cp", str(content), there], ["nfs-cp", there, str(back)]]
    try:
        yield {
            "Doorward, nfs": partial(_ours, body, {}, directory, content),
            "nfs-cp": partial(_by_hand, commands, place, content, back),
        }
    finally:
        server.stop()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


if __name__ == "__main__":
    tempfile.tempdir = os.environ.get("TMPDIR") or None
    print(json.dumps(_measured(int(sys.argv[1]), int(sys.argv[2]))))
