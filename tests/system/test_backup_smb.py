"""The target smb against a real Samba."""

from __future__ import annotations

import os
import random
import resource
import socketserver
import stat
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.ports import free_port
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
from tests.system.samba_support import ACCOUNT, PASSWORD, Samba
from tests.system.sshd_support import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOGIN = {"selection": "password", "username": ACCOUNT, "domain": None, "password": "password"}
SHARES = {
    "backup$": "read only = no",
    "fixed": "read only = yes",
    "public": "read only = no\nguest ok = yes",
    "disk": "read only = no",
    "others": f"read only = no\nvalid users = nobody\nwrite list = {ACCOUNT}",
}


@pytest.fixture(scope="module")
def samba() -> Iterator[Samba]:
    with open_directory("smb") as directory:
        server = Samba(directory, SHARES)
        (directory / "disk").mkdir()
        with small_disk(directory / "disk"):
            (directory / "public").mkdir()
            yield server.start()
            server.stop()


@pytest.fixture
def path(samba: Samba) -> Path:
    share = samba.directory / "backup$"
    made = share / f"d {len(list(share.iterdir()))}" / "ünter"
    made.mkdir(parents=True)
    for place in (made, made.parent):
        os.chown(place, OWNER, OWNER)
    return made


def policy(port: int, path: str = "", **changed: Any) -> dict[str, Any]:
    return {
        "type": "smb", "server": address("127.0.0.1"), "port": port, "share": "backup$", "path": path, "authentication": LOGIN,
        "protocol_version": "auto", "encryption": True, **changed,
    }  # fmt: skip


@pytest.fixture
def opener(samba: Samba, path: Path, tmp_path: Path) -> Opener:
    body = policy(samba.port, f"{path.parent.name}/{path.name}")
    return Opener(body, {"password": PASSWORD}, tmp_path / "work")


@pytest.fixture
def disk(opener: Opener, samba: Samba) -> tuple[Opener, Path]:
    return opener.changed(share="disk", path=""), samba.directory / "disk"


class TestPromises(Promises):
    owner = OWNER
    listed = Promises.listed | {"ümlaut"}


@pytest.mark.parametrize(
    "protection",
    [
        {"protocol_version": "auto"},
        {"protocol_version": "3.0"},
        {"protocol_version": "3.0.2"},
        {"protocol_version": "3.1.1", "encryption": False},
        {"protocol_version": "3.0", "encryption": False},
    ],
    ids=["auto", "3.0", "3.0.2", "3.1.1 signed", "3.0 signed"],
)
def test_a_file_goes_there_and_comes_back(opener: Opener, path: Path, tmp_path: Path, protection: dict[str, Any]) -> None:
    sent, config = content(tmp_path, 2_500_000), path / NODE / "config"
    with opener(per_node=True, **protection) as target:
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
        assert stat.S_IMODE((tmp_path / "back").stat().st_mode) == 0o600
        target.delete(ARCHIVE)
        target.delete(ARCHIVE)
        assert target.names() == []
        fails("no_such_path", lambda: target.fetch(ARCHIVE, tmp_path / "again"))
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("version", ["3.0", "3.1.1"])
def test_nobody_on_the_way_can_read_it(opener: Opener, samba: Samba, tmp_path: Path, version: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"nobody may read this" * 100)
    for encryption in (True, False):
        with Proxy(("127.0.0.1", samba.port)) as proxy:
            with opener(port=proxy.port, protocol_version=version, encryption=encryption) as target:
                target.prepare()
                target.put(f"file-{encryption}", secret)
                target.fetch(f"file-{encryption}", tmp_path / f"back-{encryption}")
            assert (b"nobody may read this" in proxy.heard) is not encryption


def test_a_path_or_share_that_is_missing_is_not_made(opener: Opener, path: Path, tmp_path: Path) -> None:
    fails("no_such_path", lambda: opener(path=f"{opener.body['path']}/missing"))
    fails("no_such_path", lambda: opener(share="missing"))
    with opener() as target:
        fails("no_such_path", lambda: target.put(ARCHIVE, content(tmp_path)))
    assert list(path.iterdir()) == []
    (path / "config").write_text("a file")
    with opener() as target:
        fails("no_such_path", target.prepare)


def test_the_login_is_refused(opener: Opener) -> None:
    fails("auth_failed", opener.with_secret("password", "wrong"))
    fails("auth_failed", lambda: opener(authentication={**LOGIN, "password": "no such secret"}))
    fails("permission_denied", lambda: opener(share="others"))


def test_nobody_becomes_a_guest(opener: Opener) -> None:
    unknown = {**LOGIN, "username": "nobody-knows"}
    for encryption in (True, False):
        fails("guest_refused", partial(opener, authentication=unknown, encryption=encryption))


def test_without_an_account(opener: Opener, samba: Samba, tmp_path: Path) -> None:
    (samba.directory / "public").chmod(0o777)
    with opener(share="public", path="", authentication={"selection": "anonymous"}, encryption=False) as target:
        target.prepare()
        target.put(ARCHIVE, content(tmp_path))
        assert [entry.name for entry in target.names()] == [ARCHIVE]
    fails("permission_denied", lambda: opener(authentication={"selection": "anonymous"}, encryption=False))


def test_a_server_without_encryption_or_without_smb3(samba: Samba, tmp_path: Path) -> None:
    with open_directory("smb-old") as directory:
        for options, codes in (
            ("server smb encrypt = off", {"auto": "encryption_unavailable", "3.0": "encryption_unavailable"}),
            ("server max protocol = SMB2_10", {"auto": "protocol_unavailable", "3.1.1": "protocol_unavailable"}),
            ("server max protocol = SMB3_00", {"3.1.1": "protocol_unavailable", "auto": None}),
        ):
            server = Samba(directory, {"backup$": "read only = no"}, options).start()
            opener = Opener(policy(server.port), {"password": PASSWORD}, tmp_path / "work")
            for version, code in codes.items():
                if code is None:
                    opener(protocol_version=version).close()
                else:
                    fails(code, partial(opener, protocol_version=version))
            server.stop()


def test_a_share_that_cannot_be_written(opener: Opener, samba: Samba, tmp_path: Path) -> None:
    (samba.directory / "fixed" / "config").mkdir(exist_ok=True)
    with opener(share="fixed", path="") as target:
        fails("read_only_target", lambda: target.put(ARCHIVE, content(tmp_path)))


def test_nobody_listens_and_nobody_is_called_that(opener: Opener) -> None:
    fails("connect", lambda: opener(port=free_port()))
    fails("resolve", lambda: opener(server={"selection": "fqdn", "value": "backup.invalid"}))


def test_the_server_talks_something_else(opener: Opener) -> None:
    class Web(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.recv(100)
                self.request.sendall(b"\x00\x00\x00\x60" + b"HTTP/1.1 400 Bad Request\r\n\r\n" * 5)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fails("connection_lost", lambda: opener(port=server.server_address[1]))
        server.shutdown()


def test_cut_anywhere_the_final_name_is_whole_or_absent(opener: Opener, samba: Samba, path: Path, tmp_path: Path) -> None:
    sent = content(tmp_path, 3_000_000)
    foreign_files(path / "config", OWNER)
    before = picture(path)
    chance = random.Random(7)  # noqa: S311 - only has to be the same at every run
    for _ in range(8):
        with Proxy(("127.0.0.1", samba.port)) as proxy, opener(port=proxy.port) as target:
            proxy.cut_after = proxy.passed + chance.randrange(1, 3_000_000)
            fails("connection_lost", lambda target=target: target.put(ARCHIVE, sent))  # type: ignore[misc]
            assert not (path / "config" / ARCHIVE).exists()
    for _ in range(4):
        with Proxy(("127.0.0.1", samba.port)) as proxy:
            proxy.cut_after = chance.randrange(1, 1000)
            fails("connection_lost", lambda proxy=proxy: opener(port=proxy.port))  # type: ignore[misc]
    with Proxy(("127.0.0.1", samba.port)) as proxy, opener(port=proxy.port) as target:
        target.put(ARCHIVE, sent)
        assert [entry.name for entry in target.partial()] == []
        proxy.cut_back_after = proxy.passed_back + 1_500_000
        fails("connection_lost", lambda: target.fetch(ARCHIVE, tmp_path / "back"))
    assert not (tmp_path / "back").exists()
    assert (path / "config" / ARCHIVE).read_bytes() == sent.read_bytes()
    (path / "config" / ARCHIVE).unlink()
    assert picture(path) == before


def test_a_server_that_stops_moving(opener: Opener, samba: Samba, path: Path, tmp_path: Path) -> None:
    with Proxy(("127.0.0.1", samba.port)) as proxy, opener(port=proxy.port) as target:
        target.prepare()
        impatient(target)
        proxy.stall_after = proxy.passed + 100_000
        fails("stalled", lambda: target.put(ARCHIVE, content(tmp_path, 8_000_000)))
    with Proxy(("127.0.0.1", samba.port)) as proxy:
        proxy.stall_after = 0
        fails("stalled", lambda: opener(port=proxy.port, stall=0.5))
        fails("timeout", lambda: opener(port=proxy.port, attempt=0.5))
        threading.Timer(0.3, opener.stop.set).start()
        fails("cancelled", lambda: opener(port=proxy.port))
    assert not (path / "config" / ARCHIVE).exists()


def test_a_server_that_is_slow_will_do(opener: Opener, samba: Samba, path: Path, tmp_path: Path) -> None:
    with Proxy(("127.0.0.1", samba.port)) as proxy, opener(port=proxy.port, stall=2) as target:
        target.prepare()
        proxy.delay = 0.04
        sent = content(tmp_path, 4_000_000)
        began = time.monotonic()
        target.put(ARCHIVE, sent)
        assert time.monotonic() - began > 2
    assert (path / "config" / ARCHIVE).read_bytes() == sent.read_bytes()


def test_no_more_is_on_the_way_than_the_server_allows(
    opener: Opener, samba: Samba, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from doorward.backup.targets import smb_files

    monkeypatch.setattr(smb_files, "_ON_THE_WAY", 10_000)
    with Proxy(("127.0.0.1", samba.port)) as proxy, opener(port=proxy.port) as target:
        target.prepare()
        proxy.delay = 0.005
        sent = content(tmp_path, 8_000_000)
        target.put(ARCHIVE, sent)
    assert (path / "config" / ARCHIVE).read_bytes() == sent.read_bytes()


def test_an_answer_without_protection_is_not_taken() -> None:
    from types import SimpleNamespace

    from smbprotocol.exceptions import SMBException
    from smbprotocol.header import SMB2HeaderResponse

    from doorward.backup.targets.smb_session import Strict

    answer = SMB2HeaderResponse()
    answer["message_id"] = 5
    for encrypted, words in ((True, "without encryption"), (False, "without signature")):
        connection = Strict(None, "server")
        connection.session_table[1] = SimpleNamespace(encrypt_data=encrypted, signing_required=not encrypted)
        with pytest.raises(SMBException, match=words):
            connection.verify_signature(answer, 1)


def test_a_server_that_announces_gigabytes_gets_no_room_for_them(opener: Opener) -> None:
    """The length that stands before every answer has four bytes; here it says 4 GiB, and as much is sent as is taken."""

    class Flood(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                if self.request.recv(4096):
                    self.request.sendall(b"\xff\xff\xff\xff" + b"\xfeSMB")
                    while True:
                        self.request.sendall(bytes(1 << 20))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Flood) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fails("connection_lost", lambda: opener(port=server.server_address[1]))
        server.shutdown()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
