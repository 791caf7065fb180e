"""The target nfs against a real NFS-Ganesha.

The kernel of a test machine need not know NFS: the driver that has it mount is tried on a disk in memory.
"""

from __future__ import annotations

import os
import random
import re
import socketserver
import stat
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doorward.backup.targets import nfs, nfs_mount, port
from doorward.backup.targets.libnfs import LibnfsFiles
from doorward.backup.targets.limits import MAX_ARCHIVE
from doorward.host import unprivileged
from tests.support.server import until
from tests.system.backup_promises import Promises
from tests.system.backup_support import (
    ARCHIVE,
    NODE,
    Opener,
    Proxy,
    address,
    content,
    fails,
    foreign_files,
    impatient,
    open_directory,
    picture,
    small_disk,
)
from tests.system.ganesha_support import OWNER, PORTS, Ganesha
from tests.system.privileges import assert_unprivileged

if TYPE_CHECKING:
    from collections.abc import Iterator

CAP_NET_BIND_SERVICE = 10
EXPORTS = {"backup": "Access_Type = RW;", "fixed": "Access_Type = RO;", "disk": "Access_Type = RW;"}


@pytest.fixture(scope="module")
def ganesha() -> Iterator[Ganesha]:
    with open_directory("nfs") as directory:
        (directory / "disk").mkdir()
        with small_disk(directory / "disk"):
            server = Ganesha(directory, EXPORTS)
            try:
                yield server.start()
            finally:
                server.stop()


@pytest.fixture
def path(ganesha: Ganesha) -> Path:
    """A new directory of the account on the server, below an export."""
    made = ganesha.directory / "backup" / f"d {len(list((ganesha.directory / 'backup').iterdir()))} ü"
    made.mkdir()
    os.chown(made, OWNER, OWNER)
    return made


@pytest.fixture
def opener(ganesha: Ganesha, path: Path, tmp_path: Path) -> Opener:
    return Opener({"type": "nfs", "server": address(ganesha.address), "path": str(path)}, {}, tmp_path / "work")


@pytest.fixture
def disk(opener: Opener, ganesha: Ganesha) -> tuple[Opener, Path]:
    return opener.changed(path=str(ganesha.directory / "disk")), ganesha.directory / "disk"


class TestPromises(Promises):
    owner = OWNER
    listed = Promises.listed | {"ümlaut"}

    def refused(self, message: str) -> None:
        assert "belongs to uid " in message


@contextmanager
def proxied(ganesha: Ganesha) -> Iterator[tuple[str, Proxy]]:
    """Proxies for the ports of NFS at an address of their own; the one before the files is returned."""
    near = f"127.9.{ganesha.network >> 8}.{ganesha.network & 0xFF}"
    with ExitStack() as stack:
        proxies = {port: stack.enter_context(Proxy((ganesha.address, port), near, port)) for port in PORTS}
        yield near, proxies[2049]


def test_a_file_goes_there_and_comes_back(opener: Opener, path: Path, tmp_path: Path) -> None:
    sent, config = content(tmp_path, 2_500_000), path / NODE / "config"
    with opener(per_node=True) as target:
        assert target.names() == []
        target.prepare()
        target.prepare()
        target.put(ARCHIVE, sent)
        target.put(ARCHIVE, sent)
        [entry] = target.names()
        assert (entry.name, entry.size) == (ARCHIVE, 2_500_000)
        assert abs((entry.modified or 0) - (config / ARCHIVE).stat().st_mtime) < 0.001
        target.fetch(ARCHIVE, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == sent.read_bytes() == (config / ARCHIVE).read_bytes()
        modes = [stat.S_IMODE(place.stat().st_mode) for place in (path / NODE, config, config / ARCHIVE, tmp_path / "back")]
        assert modes == [0o700, 0o700, 0o600, 0o600]
        assert (config / ARCHIVE).stat().st_nlink == 1
        target.delete(ARCHIVE)
        target.delete(ARCHIVE)
        assert target.names() == []
        fails("no_such_path", lambda: target.fetch(ARCHIVE, tmp_path / "again"))
    assert not (tmp_path / "again").exists()


def test_an_empty_file(opener: Opener, tmp_path: Path) -> None:
    with opener() as target:
        target.prepare()
        target.put("empty", content(tmp_path, 0))
        target.fetch("empty", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b""


def test_a_link_in_the_place_of_the_name_is_not_followed(opener: Opener, path: Path, tmp_path: Path) -> None:
    with opener() as target:
        target.prepare()
        (path / "config" / ARCHIVE).symlink_to("notes.txt")
        fails("name_exists", lambda: target.put(ARCHIVE, content(tmp_path)))


def test_somebody_else_is_faster(opener: Opener, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = content(tmp_path)
    real = LibnfsFiles.publish

    def slower(files: LibnfsFiles, temporary: str, final: str) -> None:
        taken = path / final.lstrip("/")
        taken.write_bytes(b"of somebody else" if taken.name == ARCHIVE else sent.read_bytes())
        os.chown(taken, OWNER, OWNER)
        real(files, temporary, final)

    monkeypatch.setattr(LibnfsFiles, "publish", slower)
    with opener() as target:
        target.prepare()
        fails("name_exists", lambda: target.put(ARCHIVE, sent))
        target.put("the-same", sent)
    assert {place.name: place.stat().st_size for place in (path / "config").iterdir()} == {ARCHIVE: 16, "the-same": 100_000}


def test_a_path_that_is_missing_is_not_made(opener: Opener, ganesha: Ganesha, path: Path, tmp_path: Path) -> None:
    fails("no_such_path", lambda: opener(path=str(path / "missing")))
    fails("no_such_path", lambda: opener(path=str(ganesha.directory / "not exported")))
    with opener() as target:
        fails("no_such_path", lambda: target.put(ARCHIVE, content(tmp_path)))
    assert list(path.iterdir()) == []
    (path / "config").write_text("a file")
    with opener() as target:
        fails("no_such_path", target.prepare)


def test_an_export_that_cannot_be_written(opener: Opener, ganesha: Ganesha) -> None:
    with opener(path=str(ganesha.directory / "fixed")) as target:
        fails("read_only_target", target.prepare)


def test_nobody_listens_and_nobody_is_called_that(opener: Opener) -> None:
    fails("connect", lambda: opener(server=address("127.9.9.9")))
    fails("resolve", lambda: opener(server={"selection": "fqdn", "value": "backup.invalid"}))


def test_without_libnfs_or_nfs_3_the_kernel_must_do_it(opener: Opener, ganesha: Ganesha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfs_mount, "_FILE_SYSTEMS", Path("/dev/null"))
    with Proxy((ganesha.address, 2049), "127.9.9.8", 2049):  # NFSv4 wants no other port
        fails("nfs_unavailable", lambda: opener(server=address("127.9.9.8")))
    monkeypatch.setattr(nfs, "library", lambda: None)
    fails("nfs_unavailable", opener)


def test_a_server_with_nfs_4_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfs_mount, "_FILE_SYSTEMS", Path("/dev/null"))
    with open_directory("nfs4") as directory:
        server = Ganesha(directory, {"backup": "Access_Type = RW;"}, protocols="4")
        try:
            body = {"type": "nfs", "server": address(server.start().address), "path": str(directory / "backup")}
            fails("nfs_unavailable", Opener(body, {}, tmp_path / "work"))
        finally:
            server.stop()


def test_the_server_talks_something_else(opener: Opener) -> None:
    class Web(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.recv(100)
                self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 5)

    with socketserver.ThreadingTCPServer(("127.9.9.7", 111), Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fails("connection_lost", lambda: opener(server=address("127.9.9.7")))
        server.shutdown()


def test_cut_anywhere_the_final_name_is_whole_or_absent(opener: Opener, ganesha: Ganesha, path: Path, tmp_path: Path) -> None:
    sent = content(tmp_path, 3_000_000)
    foreign_files(path / "config", OWNER)
    before = picture(path)
    chance = random.Random(7)  # noqa: S311 - only has to be the same at every run
    with proxied(ganesha) as (near, proxy):
        for _ in range(8):
            with opener(server=address(near)) as target:
                proxy.cut_after = proxy.passed + chance.randrange(1, 3_000_000)
                fails("connection_lost", partial(target.put, ARCHIVE, sent))
                proxy.cut_after = None
            assert not (path / "config" / ARCHIVE).exists()
        with opener(server=address(near)) as target:
            target.put(ARCHIVE, sent)
            proxy.cut_back_after = proxy.passed_back + 1_500_000
            fails("connection_lost", lambda: target.fetch(ARCHIVE, tmp_path / "back"))
    assert not (tmp_path / "back").exists()
    with opener() as target:
        assert target.partial() == []
    assert (path / "config" / ARCHIVE).read_bytes() == sent.read_bytes()
    (path / "config" / ARCHIVE).unlink()
    assert picture(path) == before


def test_a_server_that_stops_moving(opener: Opener, ganesha: Ganesha, path: Path, tmp_path: Path) -> None:
    with proxied(ganesha) as (near, proxy):
        with opener(server=address(near)) as target:
            target.prepare()
            impatient(target)
            proxy.stall_after = proxy.passed + 100_000
            fails("stalled", lambda: target.put(ARCHIVE, content(tmp_path, 8_000_000)))
        fails("stalled", lambda: opener(server=address(near), stall=0.5))
        fails("timeout", lambda: opener(server=address(near), attempt=0.5))
        threading.Timer(0.3, opener.stop.set).start()
        fails("cancelled", lambda: opener(server=address(near)))
    assert not (path / "config" / ARCHIVE).exists()


def test_a_server_that_is_slow_will_do(opener: Opener, ganesha: Ganesha, path: Path, tmp_path: Path) -> None:
    with proxied(ganesha) as (near, proxy), opener(server=address(near), stall=2) as target:
        target.prepare()
        proxy.delay = 0.04
        sent = content(tmp_path, 4_000_000)
        began = time.monotonic()
        target.put(ARCHIVE, sent)
        assert time.monotonic() - began > 2
    assert (path / "config" / ARCHIVE).read_bytes() == sent.read_bytes()


def test_the_commands_of_the_second_driver() -> None:
    options = "nosuid,nodev,noexec,soft,timeo=100,retrans=3"
    inside = ["nsenter", "--mount=/proc/77/ns/mnt", "--"]
    point = Path("/state/target-x/mount")
    assert nfs_mount.mount(77, "10.0.0.1", "/data; x", point) == [
        *inside, "mount", "-t", "nfs", "-o", options, "--", "10.0.0.1:/data; x", str(point),
    ]  # fmt: skip
    assert nfs_mount.mount(77, "fd00::1", "/d", point)[-2] == "[fd00::1]:/d"
    assert nfs_mount.unmount(77, point) == [*inside, "umount", "--lazy", "--force", "--", str(point)]
    assert nfs_mount.holder() == ["unshare", "--mount", "--propagation", "private", *unprivileged.command(["cat"])]


@pytest.fixture
def in_memory(opener: Opener, ganesha: Ganesha, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Where the kernel is asked for NFS, it mounts a small disk in memory instead."""
    real = nfs_mount.mount

    def instead(holding: int, server: str, path: str, directory: Path) -> list[str]:
        *_, where, what, point = (command := real(holding, server, path, directory))
        assert (where, what) == ("--", f"{ganesha.address}:{opener.body['path']}")
        changes = {"nfs": "tmpfs", nfs_mount._OPTIONS: "nosuid,nodev,noexec,size=2m,mode=0700"}
        return [*(changes.get(word, word) for word in command[:-2]), "small", point]

    monkeypatch.setattr(nfs, "library", lambda: None)
    monkeypatch.setattr(nfs_mount, "unusable", lambda: None)
    monkeypatch.setattr(nfs_mount, "mount", instead)
    return opener


def test_a_mount_is_seen_by_nobody_else_and_goes_at_the_end(in_memory: Opener, tmp_path: Path) -> None:
    sent, before = content(tmp_path), Path("/proc/self/mounts").read_text()
    with in_memory() as target:
        assert isinstance(target, nfs.NfsDirectory)
        target.prepare()
        target.put(ARCHIVE, sent)
        target.put(ARCHIVE, sent)
        assert [(entry.name, entry.size) for entry in target.names()] == [(ARCHIVE, 100_000)]
        target.fetch(ARCHIVE, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == sent.read_bytes()
        fails("name_exists", lambda: target.put(ARCHIVE, content(tmp_path)))
        fails("no_space", lambda: target.put("second", content(tmp_path, 3_000_000)))
        assert len(target.names()) == 1
        target.delete(ARCHIVE)
        target.delete(ARCHIVE)
        assert target.names() == []
        assert Path("/proc/self/mounts").read_text() == before
        [place] = in_memory.workdir.iterdir()
        assert list((place / "mount").iterdir()) == []
        holder = target._files._holder  # type: ignore[attr-defined]
    assert holder.returncode is not None
    assert list(in_memory.workdir.iterdir()) == []


def test_what_mount_says_is_understood(in_memory: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, code in (
        ("mount.nfs: access denied by server while mounting 10.0.0.1:/d", "permission_denied"),
        ("mount.nfs: mounting 10.0.0.1:/d failed, reason given by server: No such file or directory", "no_such_path"),
        ("mount.nfs: Connection timed out", "timeout"),
        ("mount.nfs: something else", "connect"),
    ):
        monkeypatch.setattr(nfs_mount, "mount", lambda *_, words=words: ["sh", "-c", f"echo '{words}' >&2; exit 32"])
        fails(code, in_memory)
    assert list(in_memory.workdir.iterdir()) == []


def test_the_process_with_libnfs_has_no_privileges(opener: Opener) -> None:
    with opener() as target:
        child = target._files._child  # type: ignore[attr-defined]
        assert_unprivileged(Path(f"/proc/{child.pid}/status").read_text(), capabilities=1 << CAP_NET_BIND_SERVICE)
        limits = Path(f"/proc/{child.pid}/limits").read_text()
        assert re.search(rf"Max file size +{MAX_ARCHIVE + 1} +{MAX_ARCHIVE + 1} ", limits)


@pytest.fixture
def mounted(in_memory: Opener) -> Iterator[tuple[nfs.NfsDirectory, Path]]:
    """A target that the kernel has mounted, and where its server's files can be changed."""
    with in_memory() as target:
        assert isinstance(target, nfs.NfsDirectory)
        files = target._files
        assert isinstance(files, nfs_mount.MountedFiles)
        status = Path(f"/proc/{files._holder.pid}/status")
        until(lambda: "Name:\tsetpriv\n" not in status.read_text(), what="the holder gave its privileges up")
        assert_unprivileged(status.read_text())
        yield target, Path(f"/proc/{files._holder.pid}/root{files._point}")


@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_on_the_server_leads_nowhere_on_this_machine(
    mounted: tuple[nfs.NfsDirectory, Path], tmp_path: Path, absolute: bool
) -> None:
    target, root = mounted
    own = tmp_path / "own"
    own.mkdir()
    (own / ARCHIVE).write_text("of this machine")
    before = picture(own)
    (root / "config").symlink_to(own if absolute else Path("../" * 20 + str(own)))
    for action in (
        target.prepare,
        target.names,
        lambda: target.put("new", content(tmp_path)),
        lambda: target.put(ARCHIVE, content(tmp_path)),
        lambda: target.fetch(ARCHIVE, tmp_path / "back"),
        lambda: target.delete(ARCHIVE),
    ):
        fails("no_such_path", action)
    assert picture(own) == before
    assert not (tmp_path / "back").exists()


def test_only_plain_files_of_the_server_are_read(mounted: tuple[nfs.NfsDirectory, Path], tmp_path: Path) -> None:
    target, root = mounted
    target.prepare()
    own = tmp_path / "own"
    own.write_text("of this machine")
    (root / "config" / ARCHIVE).symlink_to(own)
    (root / "config" / f".{ARCHIVE}.part").symlink_to(own)
    os.mkfifo(root / "config" / "pipe")
    assert target.names() == []
    for name in (ARCHIVE, "pipe"):
        fails("no_such_path", partial(target.fetch, name, tmp_path / "back"))
        fails("name_exists", partial(target.put, name, content(tmp_path)))
    (root / "config" / ARCHIVE).unlink()
    target.put(ARCHIVE, content(tmp_path))
    assert own.read_text() == "of this machine"


def test_a_file_of_a_mounted_server_that_became_huge_is_not_read_whole(
    mounted: tuple[nfs.NfsDirectory, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, root = mounted
    target.prepare()
    target.put(ARCHIVE, content(tmp_path, 1000))
    os.truncate(root / "config" / ARCHIVE, 2 << 30)
    fails("verify_failed", lambda: target.fetch(ARCHIVE, tmp_path / "back", 1000))
    assert not (tmp_path / "back").exists()
    for number in range(4):
        (root / "config" / f"file {number}").touch()
    monkeypatch.setattr(port, "MAX_FILES", 3)
    fails("protocol_unavailable", target.names)
