"""The target rsync against a real sshd and a real rsync."""

from __future__ import annotations

import os
import random
import socket
import socketserver
import stat
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from doorward.backup.failure import BackupError
from doorward.backup.targets import programs, rsync
from doorward.backup.targets.hostkeys import host_keys
from doorward.backup.targets.ssh import fingerprint
from doorward.host import unprivileged
from tests.support.ports import free_port
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
    tried,
)
from tests.system.privileges import assert_unprivileged, watched_programs
from tests.system.sshd_support import ACCOUNT, OWNER, Sshd, key_pair

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    directory = tmp_path_factory.mktemp("keys")
    return {name: key_pair(directory, name) for name in ("free", "restricted", "unknown")}


@pytest.fixture(scope="module")
def sshd(keys: dict[str, tuple[str, str]]) -> Iterator[Sshd]:
    with open_directory("sshd") as directory:
        disk = directory / "served" / "disk"
        disk.mkdir(parents=True)
        restricted = f'command="rrsync {directory}/served",restrict {keys["restricted"][1]}'
        server = Sshd(directory, [keys["free"][1], restricted])
        with small_disk(disk):
            yield server.start()
            server.stop()


@pytest.fixture
def path(sshd: Sshd, request: pytest.FixtureRequest) -> Path:
    """A new directory of the account on the server, with files of others."""
    made = sshd.directory / "served" / f"d{len(list((sshd.directory / 'served').iterdir()))}"
    made.mkdir()
    os.chown(made, OWNER, OWNER)
    return made


@pytest.fixture
def opener(sshd: Sshd, path: Path, keys: dict[str, tuple[str, str]], tmp_path: Path) -> Opener:
    body = {
        "type": "rsync", "server": address("127.0.0.1"), "port": sshd.port, "username": ACCOUNT, "path": str(path),
        "authentication_key": "key", "server_host_keys": [sshd.host_key],
    }  # fmt: skip
    return Opener(body, {"key": keys["free"][0]}, tmp_path / "work")


@pytest.fixture
def restricted(opener: Opener, keys: dict[str, tuple[str, str]], path: Path) -> Opener:
    """With a key that may do nothing but rsync, and only below the directory that is served."""
    return Opener({**opener.body, "path": f"/{path.name}"}, {"key": keys["restricted"][0]}, opener.workdir)


@pytest.fixture(params=["any command", "rrsync"])
def either(opener: Opener, restricted: Opener, request: pytest.FixtureRequest) -> Opener:
    return restricted if request.param == "rrsync" else opener


@pytest.fixture
def disk(restricted: Opener, sshd: Sshd) -> tuple[Opener, Path]:
    return restricted.changed(path="/disk"), sshd.directory / "served" / "disk"


class TestPromises(Promises):
    owner = OWNER
    listed = Promises.listed | {"a*"}
    left = f".{ARCHIVE}.Xy12Zz"
    beside = (f".{ARCHIVE.replace('46f97a58', '00000000')}.Xy12Zz",)

    @pytest.fixture
    def guarded(self, restricted: Opener) -> Opener:
        return restricted


def test_a_file_goes_there_and_comes_back(either: Opener, path: Path, tmp_path: Path) -> None:
    foreign_files(path / "other", OWNER)
    before = picture(path)
    sent, config = content(tmp_path), path / NODE / "config"
    with either(per_node=True) as target:
        assert target.names() == []
        target.prepare()
        target.put(ARCHIVE, sent)
        target.put(ARCHIVE, sent)
        [entry] = target.names()
        target.fetch(ARCHIVE, tmp_path / "back")
        assert (entry.name, entry.size) == (ARCHIVE, 100_000)
        assert entry.modified == int((config / ARCHIVE).stat().st_mtime)
        modes = [stat.S_IMODE(place.stat().st_mode) for place in (config, config / ARCHIVE, tmp_path / "back")]
        assert modes == [0o700, 0o600, 0o600]
        assert (tmp_path / "back").read_bytes() == sent.read_bytes()
        assert (config / ARCHIVE).stat().st_uid == OWNER
        target.delete(ARCHIVE)
        target.delete(ARCHIVE)
        assert target.names() == []
        fails("no_such_path", lambda: target.fetch(ARCHIVE, tmp_path / "again"))
    assert {name: seen for name, seen in picture(path).items() if name.startswith("other")} == before
    assert list(either.workdir.iterdir()) == []


def test_all_calls_share_one_connection_which_ends_with_the_target(either: Opener, sshd: Sshd, tmp_path: Path) -> None:
    def logins() -> int:
        return (sshd.directory / "log").read_text().count("Accepted publickey")

    def at_work() -> list[str]:
        return sorted(child.name() for child in psutil.Process().children())

    before, others = logins(), at_work()
    with either(per_node=True) as target:
        target.prepare()
        target.put(ARCHIVE, content(tmp_path))
        target.fetch(ARCHIVE, tmp_path / "back")
        target.delete(ARCHIVE)
        assert at_work() == sorted([*others, "ssh"])
    assert logins() == before + 1
    until(lambda: at_work() == others, what="the end of the connection")


def test_a_config_that_is_a_link_stays_one(opener: Opener, path: Path, tmp_path: Path) -> None:
    (path / "elsewhere").mkdir()
    os.chown(path / "elsewhere", OWNER, OWNER)
    (path / "config").symlink_to("elsewhere")
    with opener() as target:
        target.prepare()
        target.put(ARCHIVE, content(tmp_path))
    assert (path / "config").is_symlink()
    assert (path / "elsewhere" / ARCHIVE).is_file()


def test_a_path_with_blanks_and_wildcards(opener: Opener, path: Path, tmp_path: Path) -> None:
    odd = path / "we [ir]*d? $(id) 'q' \"Q\" \\n ü"
    odd.mkdir()
    os.chown(odd, OWNER, OWNER)
    with opener(path=str(odd)) as target:
        target.prepare()
        target.put(ARCHIVE, content(tmp_path))
        assert [entry.name for entry in target.names()] == [ARCHIVE]
    assert [place.name for place in path.iterdir()] == [odd.name]


def test_a_wildcard_in_the_path_means_itself(either: Opener, path: Path, tmp_path: Path) -> None:
    for name in ("b [1]*?", "b 1xy"):
        (path / name).mkdir()
        os.chown(path / name, OWNER, OWNER)
    sent = content(tmp_path)
    with either(path=f"{either.body['path']}/b [1]*?") as target:
        target.prepare()
        target.put(ARCHIVE, sent)
        target.fetch(ARCHIVE, tmp_path / "fetched")
        assert [entry.name for entry in target.names()] == [ARCHIVE]
        assert (path / "b [1]*?" / "config" / ARCHIVE).read_bytes() == sent.read_bytes()
        target.delete(ARCHIVE)
        assert target.names() == []
    assert not list((path / "b 1xy").iterdir())


def test_a_path_below_the_home_of_the_account(opener: Opener, sshd: Sshd, tmp_path: Path) -> None:
    below = sshd.directory / "home" / "backup"
    below.mkdir()
    os.chown(below, OWNER, OWNER)
    with opener(path="backup") as target:
        target.prepare()
        target.put(ARCHIVE, content(tmp_path))
    assert (below / "config" / ARCHIVE).is_file()


def test_an_rsync_without_fsync_will_do(opener: Opener, sshd: Sshd, keys: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    old = sshd.directory / "old-rsync"
    old.write_text(
        '#!/bin/sh\ncase "$SSH_ORIGINAL_COMMAND" in *--fsync*) echo "rsync: --fsync: unknown option" >&2; exit 1;; esac\n'
        'eval "exec $SSH_ORIGINAL_COMMAND"\n'
    )
    old.chmod(0o755)
    before = sshd.keys
    sshd.authorize(f'command="{old}" {keys["unknown"][1]}')
    try:
        with opener.with_secret("key", keys["unknown"][0])() as target:
            target.prepare()
            target.put(ARCHIVE, content(tmp_path))
    finally:
        sshd.authorize(*before)


def test_a_path_that_is_missing_is_not_made(either: Opener, path: Path, tmp_path: Path) -> None:
    fails("no_such_path", lambda: either(path=f"{either.body['path']}/missing"))
    with either() as target:
        fails("no_such_path", lambda: target.put(ARCHIVE, content(tmp_path)))
    assert list(path.iterdir()) == []


def test_something_else_is_called_config(opener: Opener, path: Path) -> None:
    (path / "config").write_text("a file")
    with opener() as target:
        fails("no_such_path", target.prepare)


def test_the_host_key_is_another(opener: Opener, sshd: Sshd, tmp_path: Path) -> None:
    other, rsa = key_pair(tmp_path, "other")[1], key_pair(tmp_path, "rsa", "rsa")[1]
    for pinned in (other, rsa):
        failure = fails("host_key_mismatch", partial(opener, server_host_keys=[pinned]))
        assert "nothing was sent" in failure.message
    logged = (sshd.directory / "log").read_text().splitlines()[-1]
    assert "Accepted" not in logged
    with opener(server_host_keys=[other, sshd.host_key]) as target:  # to bridge a change
        assert target.names() == []


def test_the_words_about_a_host_key_have_both_fingerprints(opener: Opener, sshd: Sshd, tmp_path: Path) -> None:
    other = key_pair(tmp_path, "other")[1]
    message = fails("host_key_mismatch", lambda: opener(server_host_keys=[other])).message
    assert fingerprint(other) in message
    assert fingerprint(sshd.host_key) in message


def test_the_key_is_refused(opener: Opener, keys: dict[str, tuple[str, str]]) -> None:
    fails("auth_failed", opener.with_secret("key", keys["unknown"][0]))
    fails("auth_failed", opener.with_secret("key", "not a key"))
    fails("auth_failed", lambda: opener(username="nobody-knows"))
    fails("auth_failed", lambda: opener(authentication_key="no such secret"))


def test_only_what_rsync_and_ssh_say_themselves_counts(
    opener: Opener, sshd: Sshd, keys: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    before = sshd.keys
    noise = "Session timeout: 15 minutes. No space left on device (28). Permission denied (13)"
    (sshd.directory / "banner").write_text(f"{noise}\nrsync: [receiver] write failed: No space left on device (28)\n")
    with opener() as target:
        target.prepare()
        target.put(ARCHIVE, content(tmp_path))
    assert not fails("auth_failed", opener.with_secret("key", keys["unknown"][0])).transient
    try:
        shell = f"echo '{noise}' >&2"
        sshd.authorize(f'command="{shell}; exec /nowhere/rsync" {keys["unknown"][1]}')
        fails("program_absent", opener.with_secret("key", keys["unknown"][0]))
        sshd.authorize(f'command="{shell}; kill -9 $PPID" {keys["unknown"][1]}')
        fails("connection_lost", opener.with_secret("key", keys["unknown"][0]))
    finally:
        sshd.authorize(*before)
        (sshd.directory / "banner").write_text("")


def test_a_relative_path_that_begins_with_a_colon_is_no_module(opener: Opener, sshd: Sshd, tmp_path: Path) -> None:
    for name in (":bar", "::mod", ":"):
        below = sshd.directory / "home" / name
        below.mkdir()
        os.chown(below, OWNER, OWNER)
        with opener(path=name) as target:
            target.prepare()
            target.put(ARCHIVE, content(tmp_path))
            target.fetch(ARCHIVE, tmp_path / f"back{name}")
            target.delete(ARCHIVE)
        assert list((below / "config").iterdir()) == []


def test_a_relative_path_below_what_a_key_is_restricted_to(restricted: Opener, path: Path, tmp_path: Path) -> None:
    with restricted(path=path.name) as target:
        target.prepare()
        target.put(ARCHIVE, content(tmp_path))
        assert [entry.name for entry in target.names()] == [ARCHIVE]
    assert (path / "config" / ARCHIVE).is_file()


def test_a_list_of_millions_of_names_is_not_read(opener: Opener, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opener() as target:
        target.prepare()
        for number in range(3000):
            (path / "config" / f"{number:0200}").touch()
        assert len(target.names()) == 3000
        monkeypatch.setattr(rsync, "MAX_LISTING", 256 << 10)
        assert "far too much" in fails("protocol_unavailable", target.names).message


def test_what_nobody_asked_for_does_not_fill_the_disk(
    opener: Opener, sshd: Sshd, path: Path, keys: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    """A far end that answers a request for a small file with others."""
    with opener() as target:
        target.prepare()
        target.put(ARCHIVE, content(tmp_path, 1000))
    large = path / "large"
    large.mkdir()
    os.chown(large, OWNER, OWNER)
    for number in range(40):
        (large / f"{ARCHIVE}{number}").write_bytes(bytes(30 << 10))
    fake = sshd.directory / "fake-rsync"
    options = "--server --sender -dlogDtpre.iLsfxCIvu --whole-file"
    fake.write_text(
        '#!/bin/sh\ncase "$SSH_ORIGINAL_COMMAND" in\n'
        f'*--list-only*|*--debug*|*PROTO*) eval "exec $SSH_ORIGINAL_COMMAND";;\n*) exec rsync {options} . {large}/;;\nesac\n'
    )
    fake.chmod(0o755)
    before = sshd.keys
    sshd.authorize(f'command="{fake}" {keys["unknown"][1]}')
    (tmp_path / "into").mkdir()
    try:
        with opener.with_secret("key", keys["unknown"][0])() as target, suppress(BackupError):
            target.fetch_all([ARCHIVE], tmp_path / "into", 1000)
    finally:
        sshd.authorize(*before)
    assert sum(file.stat().st_size for file in (tmp_path / "into").iterdir()) <= 1000


def test_programs_have_no_privileges_and_leave_nothing(opener: Opener, tmp_path: Path) -> None:
    with watched_programs("rsync", "ssh", "ssh-keyscan") as seen, opener(step=lambda _step: None) as target:
        target.prepare()
        target.put(ARCHIVE, content(tmp_path))
        target.fetch(ARCHIVE, tmp_path / "back")
        login = Path(f"/proc/{target._login._process.pid}/status").read_text()  # type: ignore[attr-defined]
    assert (tmp_path / "back").stat().st_uid == os.geteuid()
    assert set(seen()) == {"rsync", "ssh", "ssh-keyscan"}
    for status in (login, *(status for every in seen().values() for status in every)):
        assert_unprivileged(status)

    def left() -> set[Path]:
        return set(unprivileged.runtime().glob(f"doorward-{NODE[:8]}-*"))

    # other workers' tests have such directories too, for as long as they run
    found = left()
    until(lambda: found.isdisjoint(left()), what="the end of what was left")


def test_a_link_that_rsync_was_made_to_leave_is_not_followed(opener: Opener, path: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("of this machine")
    with opener() as target:
        target.prepare()
        (path / "config" / ARCHIVE).symlink_to(own)
        fails("no_such_path", lambda: target.fetch(ARCHIVE, tmp_path / "back"))
    assert not (tmp_path / "back").exists()


def test_the_directories_of_a_killed_process_go(tmp_path: Path) -> None:
    left = unprivileged.passage("0a0a0a0a", tmp_path)
    (left / "archive").write_text("secret")
    other = unprivileged.passage("0b0b0b0b", tmp_path)
    unprivileged.sweep("0a0a0a0a")
    assert (left.exists(), other.exists()) == (False, True)
    other.rmdir()


def test_nobody_listens_and_nobody_is_called_that(opener: Opener) -> None:
    fails("connect", lambda: opener(port=free_port()))
    fails("resolve", lambda: opener(server={"selection": "fqdn", "value": "backup.invalid"}))


def test_the_server_talks_something_else(opener: Opener) -> None:
    class Old(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"SSH-1.5-old\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Old) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        failure = fails("protocol_unavailable", lambda: opener(port=server.server_address[1]))
        server.shutdown()
    assert not failure.transient


def test_there_is_no_rsync_on_the_server(opener: Opener, sshd: Sshd, keys: dict[str, tuple[str, str]]) -> None:
    before = sshd.keys
    sshd.authorize(f'command="exec /nowhere/rsync" {keys["unknown"][1]}')
    try:
        fails("program_absent", opener.with_secret("key", keys["unknown"][0]))
        sshd.authorize(f'command="echo hello; sleep 1" {keys["unknown"][1]}')
        fails("protocol_unavailable", opener.with_secret("key", keys["unknown"][0]))
    finally:
        sshd.authorize(*before)


def test_cut_anywhere_the_final_name_is_whole_or_absent(opener: Opener, sshd: Sshd, path: Path, tmp_path: Path) -> None:
    sent = content(tmp_path, 400_000)
    foreign_files(path / "config", OWNER)
    before = picture(path)
    chance = random.Random(7)  # noqa: S311 - only has to be the same at every run
    with Proxy(("127.0.0.1", sshd.port)) as proxy, opener(port=proxy.port) as target:
        for _ in range(5):
            proxy.cut_after = proxy.passed + chance.randrange(1, 400_000)
            fails("connection_lost", lambda: target.put(ARCHIVE, sent))
            assert not (path / "config" / ARCHIVE).exists()
        proxy.cut_after = proxy.passed + 403_000  # in the check after the rename, or nearly there
        fails("connection_lost", lambda: target.put(ARCHIVE, sent))
        proxy.cut_after = None
        target.put(ARCHIVE, sent)
        proxy.cut_back_after = proxy.passed_back + 200_000
        fails("connection_lost", lambda: target.fetch(ARCHIVE, tmp_path / "back"))
        assert not (tmp_path / "back").exists()
        proxy.cut_back_after = None
        for entry in target.partial():
            target.delete(entry.name)
    assert (path / "config" / ARCHIVE).read_bytes() == sent.read_bytes()
    (path / "config" / ARCHIVE).unlink()
    assert picture(path) == before


def test_a_server_that_stops_moving(opener: Opener, sshd: Sshd, path: Path, tmp_path: Path) -> None:
    with Proxy(("127.0.0.1", sshd.port)) as proxy, opener(port=proxy.port) as target:
        target.prepare()
        impatient(target)
        proxy.stall_after = proxy.passed + 100_000
        fails("stalled", lambda: target.put(ARCHIVE, content(tmp_path, 4_000_000)))
    with Proxy(("127.0.0.1", sshd.port)) as proxy:
        proxy.stall_after = 0
        with pytest.raises(BackupError) as caught:
            opener(port=proxy.port, stall=1)
        assert caught.value.code in {"timeout", "stalled"}, "whichever of ssh and rsync notices first"
    assert list((path / "config").glob("doorward*")) == []


def test_a_server_that_is_slow_will_do(opener: Opener, sshd: Sshd, path: Path, tmp_path: Path) -> None:
    with Proxy(("127.0.0.1", sshd.port)) as proxy, opener(port=proxy.port, stall=2) as target:
        target.prepare()
        proxy.delay = 0.04
        sent = content(tmp_path, 2_000_000)
        began = time.monotonic()
        target.put(ARCHIVE, sent)
        assert time.monotonic() - began > 1
    assert (path / "config" / ARCHIVE).read_bytes() == sent.read_bytes()


def test_time_runs_out_or_somebody_stops_it(opener: Opener, sshd: Sshd, path: Path, tmp_path: Path) -> None:
    with Proxy(("127.0.0.1", sshd.port)) as proxy:
        proxy.stall_after = 0
        fails("timeout", lambda: opener(port=proxy.port, attempt=0.5))
        threading.Timer(0.3, opener.stop.set).start()
        fails("cancelled", lambda: opener(port=proxy.port))
        fails("cancelled", opener)
    assert list(opener.workdir.iterdir()) == []


def test_the_private_key_is_in_no_file(opener: Opener, keys: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    inner = "".join(keys["free"][0].split()[5:-4])[:60]
    seen: list[Any] = []
    real = programs.run

    def watching(attempt: Any, doing: str, command: list[str], directory: Path, **limits: Any) -> Any:
        held = [file.read_text(errors="replace") for file in directory.rglob("*") if file.is_file()]
        seen.append(inner in "".join([*command, *held]).replace("\n", ""))
        return real(attempt, doing, command, directory, **limits)

    monkeypatch.setattr(rsync, "run", watching)
    with opener() as target:
        target.prepare()
    assert seen
    assert not any(seen)


def test_a_trial_tells_the_step_that_failed(opener: Opener, path: Path, tmp_path: Path) -> None:
    pinned = key_pair(tmp_path, "other")[1]
    for changed, step, code in (
        ({"server": {"selection": "fqdn", "value": "backup.invalid"}}, "resolve", "resolve"),
        ({"port": free_port()}, "connect", "connect"),
        ({"server_host_keys": [pinned]}, "identify", "host_key_mismatch"),
        ({"username": "nobody-knows"}, "authenticate", "auth_failed"),
    ):
        trial = tried(opener, **changed)
        assert trial.code == code
        assert (trial.steps[-1].step, trial.steps[-1].result) == (step, "failed")
        assert all(other.result == "ok" for other in trial.steps[:-1])
    os.chown(path, 0, 0)
    assert [(step.step, step.result) for step in tried(opener).steps][-1] == ("write", "failed")
    assert list(path.iterdir()) == []


def test_the_host_keys_of_a_server_are_read(sshd: Sshd, tmp_path: Path) -> None:
    found = host_keys("127.0.0.1", sshd.port, workdir=tmp_path)
    assert found.body() == {
        "code": None,
        "host_keys": [{"fingerprint": fingerprint(sshd.host_key), "public_key": sshd.host_key}],
        "message": None,
    }
    assert host_keys("127.0.0.1", free_port(), workdir=tmp_path).code == "connect"
    assert host_keys("backup.invalid", 22, workdir=tmp_path).body()["host_keys"] == []
    assert list(tmp_path.iterdir()) == []


def test_host_keys_are_read_at_the_address_of_a_name_that_answers(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ssh-keyscan itself tries the first address of a name only."""
    real = socket.getaddrinfo

    def found(host: Any, *more: Any, **named: Any) -> Any:
        places = ("::1", "127.0.0.2", "127.0.0.1") if host == "two.example" else (host,)
        return [row for place in places for row in real(place, *more, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    shown = host_keys("two.example", sshd.port, workdir=tmp_path)
    assert (shown.code, shown.keys) == (None, (sshd.host_key,))
