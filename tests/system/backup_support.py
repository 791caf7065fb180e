"""What the tests of all backup targets share: a proxy that misbehaves, foreign files, file systems that are full or read-only."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import tempfile
import threading
import uuid
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from msgspec.structs import replace

from doorward.backup.failure import BackupError
from doorward.backup.signing import NodeSigningKeys
from doorward.backup.targets.port import Target, open_target
from doorward.backup.targets.probe import TargetCheck, try_target
from doorward.backup.targets.probes import Probes
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NODE = "46f97a58-4028-467d-9a22-9cfe78ae3e1c"
ARCHIVE = "doorward-20261121T230002Z-46f97a58.config.gpg"
FOREIGN_TIME = 1_000_000_000


@dataclass
class Opener:
    """Opens one target with limits for tests. ``secrets`` by key."""

    body: dict[str, Any]
    secrets: dict[str, str]
    workdir: Path
    stop: threading.Event = field(default_factory=threading.Event)
    certificates: dict[str, str] = field(default_factory=dict)

    def __call__(
        self, *, per_node: bool = False, attempt: float = 60, stall: float = 20, step: Any = None, **changed: Any
    ) -> Target:
        body = {**self.body, **changed}
        return open_target(
            body, self.secrets.get, certificate=self.certificates.get, node=NODE, per_node=per_node,
            stop=self.stop, workdir=self.workdir,
            attempt_seconds=attempt, stall_seconds=stall, step=step,
        )  # fmt: skip

    def changed(self, **changed: Any) -> Opener:
        """Return one that opens something else."""
        return dataclasses.replace(self, body={**self.body, **changed})

    def with_secret(self, key: str, text: str) -> Opener:
        """Return one that has another secret."""
        return dataclasses.replace(self, secrets={**self.secrets, key: text})


def fails(code: str, action: Callable[[], object]) -> BackupError:
    """Run something that must fail with a code; return the failure."""
    with pytest.raises(BackupError) as caught:
        action()
    assert caught.value.code == code, str(caught.value)
    assert len(caught.value.message) <= 500
    return caught.value


def impatient(target: Any, seconds: float = 1.0) -> None:
    """Have a target wait no longer for something to move. What opened it had its time, however busy the machine is."""
    share, files = getattr(target, "_share", None), getattr(target, "_files", None)
    for held in (target, files, getattr(files or target, "_child", None), share, getattr(share, "_watchdog", None)):
        if held is not None:
            held._attempt = replace(held._attempt, stall=seconds)


def tried(opener: Opener, **changed: Any) -> TargetCheck:
    """Try a target."""
    body, place = {**opener.body, **changed}, opener.workdir.parent
    with prober(place, place) as probes:
        return try_target(
            body, opener.secrets.get, certificate=opener.certificates.get, node=NODE, per_node=False,
            workdir=opener.workdir, probes=probes, seconds=20
        )  # fmt: skip


@contextmanager
def prober(state: Path, place: Path) -> Iterator[Probes]:
    """What makes probes with the key that is in a state directory, or comes to be there. ``place`` is for files of ours."""
    with closing(SqliteStore(place / "probes.db", Vault.at(place / "probes.key", create=True))) as store:
        yield Probes(NodeSigningKeys(state, store))


def address(ip: str) -> dict[str, str]:
    """The address as in a policy."""
    return {"selection": "ip", "value": ip}


def content(directory: Path, size: int = 100_000) -> Path:
    """A new local file that cannot be compressed."""
    file = directory / f"content-{uuid.uuid4().hex}"
    file.write_bytes(os.urandom(size))
    return file


def picture(directory: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below a directory that must not change: names, kinds, content, modes, owners, times of files."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        held: object = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        when = status.st_mtime_ns if held is not None else None
        found[str(path.relative_to(directory))] = (status.st_mode, status.st_uid, status.st_gid, when, held)
    return found


def foreign_files(directory: Path, owner: int) -> None:
    """Put files of other people into a directory: of every kind, some with names nearly ours."""
    directory.mkdir(exist_ok=True, mode=0o751)
    directory.chmod(0o751)
    os.chown(directory, owner, owner)
    names = ["notes.txt", "with blank", "ümlaut", ".hidden", "doorward-20261121T230002Z-00000000.config.gpg", f".{ARCHIVE}", "a*"]
    for name in names:
        file = directory / name
        file.write_text(f"of somebody else: {name}")
        file.chmod(0o644)
        os.chown(file, owner, owner)
        os.utime(file, (FOREIGN_TIME, FOREIGN_TIME))
    (directory / "link").symlink_to("notes.txt")
    inner = directory / "directory"
    inner.mkdir()
    (inner / ARCHIVE).write_text("deeper down")
    os.chown(inner, owner, owner)


@contextmanager
def open_directory(name: str) -> Iterator[Path]:
    """Give a directory that every account can enter, as it can't those of pytest."""
    with tempfile.TemporaryDirectory(prefix=f"doorward-{name}-", ignore_cleanup_errors=True) as made:
        directory = Path(made)
        directory.chmod(0o755)
        yield directory


@contextmanager
def small_disk(directory: Path, size: str = "2m") -> Iterator[Path]:
    """Mount a small disk in memory on a directory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "small", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Make a mounted directory read-only for a while."""
    subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(directory)], check=True)


class Proxy:
    """A TCP proxy in front of a server.

    ``cut_after`` and ``stall_after`` count the bytes towards the server, ``cut_back_after`` those from it, over all connections.
    ``delay``: seconds before each 64 KiB towards the server. ``heard``: what went to the server, and came from it.
    """

    def __init__(self, server: tuple[str, int], listen: str = "127.0.0.1", port: int = 0) -> None:
        self._server = server
        self._socket = socket.create_server((listen, port))
        self.port: int = self._socket.getsockname()[1]
        self.cut_after: int | None = None
        self.cut_back_after: int | None = None
        self.stall_after: int | None = None
        self.delay = 0.0
        self.heard = bytearray()
        self.passed = self.passed_back = 0
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._socket.accept()
                try:
                    far = socket.create_connection(self._server, 5)
                except OSError:
                    near.close()
                    continue
                self._open += [near, far]
                if self._released.is_set():  # closed in the meantime
                    near.close()
                    far.close()
                    return
                for pair in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        try:
            while data := source.recv(65536):
                whole = len(data)
                with self._lock:
                    before = self.passed_back if back else self.passed
                    self.passed_back += whole * back
                    self.passed += whole * (not back)
                    self.heard += data
                if self.stall_after is not None and self.passed > self.stall_after and self._released.wait(PATIENCE):
                    return  # or what was held back would arrive after all
                limit = self.cut_back_after if back else self.cut_after
                if limit is not None and before + whole > limit:
                    sink.sendall(data[: max(0, limit - before)])
                    _end(source, sink)
                    return
                if self.delay and not back:
                    self._released.wait(self.delay)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            _end(source, sink)  # whoever is left would wait for the other
        finally:
            with suppress(OSError):  # whoever waits for room to send would not see the end
                while source.recv(65536):
                    pass

    def close(self) -> None:
        """End all connections."""
        self._released.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _end(*ends: socket.socket) -> None:
    """End connections, whatever is left of them."""
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
