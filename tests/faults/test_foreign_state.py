"""A state directory that somebody else could change is refused, and links that were planted in it lead nowhere."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, Server
from tests.support.waiting import PATIENCE
from tests.support.zygote import fork

STRANGER = 65534
COMMANDS = {
    "serve": ("serve", "--listen", "127.0.0.1:0"),
    "verify": ("verify",),
    "rotate-key": ("rotate-key",),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory in order."""
    server = Server(tmp_path_factory.mktemp("whole") / "state").start()
    assert server.stop() == 0
    shutil.rmtree(server.state / "run", ignore_errors=True)
    return server.state


@pytest.fixture
def state(whole: Path, tmp_path: Path) -> Path:
    """A state directory of the test's own."""
    return shutil.copytree(whole, tmp_path / "state", symlinks=True)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory beside, with a file that nobody is to touch."""
    directory = tmp_path / "victim"
    directory.mkdir()
    (directory / "precious").write_text("precious")
    return directory


def run(command: str, state: Path) -> tuple[int, str]:
    """A command as an administrator gives it; its exit code and all it says. A server that serves is told to end."""
    first, *others = COMMANDS[command]
    process = fork(["-m", "doorward", first, "--state", str(state), *others], dict(os.environ))
    said = []
    with process.stdout as output, process.stderr as errors:
        for line in output:
            said.append(line)
            if "ready at" in line:
                process.send_signal(signal.SIGTERM)
        said += errors
    return process.wait(PATIENCE), "".join(said)


def refused(command: str, state: Path, *words: str) -> None:
    """It ends with 1 and one sentence that has these words."""
    code, said = run(command, state)
    assert code == 1, said
    assert "Traceback" not in said
    assert said.count("\n") == 1, said
    for word in (str(state), *words):
        assert word in said, said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_of_another_user_is_refused(command: str, state: Path) -> None:
    if os.geteuid() != 0:  # nobody else can have a directory of another user in their own place
        return
    os.chown(state, STRANGER, STRANGER)
    refused(command, state, "belongs to", f"user {STRANGER}", "runs as")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_directory_that_others_can_write_is_refused(command: str, mode: int, state: Path) -> None:
    state.chmod(mode)
    refused(command, state, "can be written by others")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["doorward.db", "backup", "backup/uploads", "root/etc", "root/etc/timezone"])
def test_a_part_of_another_user_is_refused(command: str, name: str, state: Path) -> None:
    if os.geteuid() != 0:
        return
    os.chown(state / name, STRANGER, STRANGER)
    refused(command, state, f"{state / name} belongs to")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_that_somebody_else_could_exchange_is_refused(command: str, state: Path) -> None:
    state.parent.chmod(0o777)
    refused(command, state, f"in {state.parent}, on the way")
    if os.geteuid() == 0:
        state.parent.chmod(0o700)
        os.chown(state.parent, STRANGER, STRANGER)
        refused(command, state, f"{state.parent}, on the way", "belongs to")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_of_another_user_to_the_directory_is_refused(command: str, state: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        return
    open_to_all = tmp_path / "tmp"
    open_to_all.mkdir()
    open_to_all.chmod(0o1777)
    link = open_to_all / "state"
    link.symlink_to(state)
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    refused(command, link, "belongs to")


def to_directory(name: str) -> Callable[[Path, Path], None]:
    """Plant a link to the victim in the place of a directory."""

    def plant(state: Path, victim: Path) -> None:
        shutil.rmtree(state / name, ignore_errors=True)
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).symlink_to(victim)

    return plant


def to_file(name: str) -> Callable[[Path, Path], None]:
    """Plant a link to the victim's file in the place of a file."""

    def plant(state: Path, victim: Path) -> None:
        (state / name).unlink(missing_ok=True)
        (state / name).symlink_to(victim / "precious")

    return plant


PLANTED = {
    **{
        name: to_directory(name)
        for name in ("backup", "backup/uploads", "backup/exports", "backup/spool", "bundles", "tls", "cluster", "root", "run")
    },
    **{name: to_directory(name) for name in ("root/etc", "root/etc/chrony", "root/var", "root/var/lib/chrony")},
    **{
        name: to_file(name)
        for name in ("lock", "data.key", "doorward.db", "tls/ca.pem", "tls/ca.pem.part", "managed.json", "data.key.next")
    },
}


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *(("serve", name) for name in PLANTED),
        *((command, name) for command in ("verify", "rotate-key") for name in ("backup", "data.key", "root")),
    ],
)
def test_planted_links_are_not_followed(command: str, name: str, state: Path, victim: Path) -> None:
    PLANTED[name](state, victim)
    refused(command, state, str(state / name))
    assert [(path.name, path.read_text()) for path in victim.iterdir()] == [("precious", "precious")]


@pytest.mark.parametrize("name", ["initial-admin-password", "data.key", "data.key.part", "lock", "doorward.db"])
def test_a_first_start_follows_no_planted_link(name: str, tmp_path: Path, victim: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / name).symlink_to(victim / "precious")
    refused("serve", state, str(state / name))
    (state / name).unlink()
    (state / name).symlink_to(victim / "new")
    refused("serve", state, str(state / name))
    assert [(path.name, path.read_text()) for path in victim.iterdir()] == [("precious", "precious")]


def test_a_second_name_of_the_lock_is_not_written_to(state: Path, victim: Path) -> None:
    (state / "lock").unlink()
    os.link(victim / "precious", state / "lock")
    refused("serve", state)
    assert (victim / "precious").read_text() == "precious"


def test_a_second_name_of_the_first_password_is_not_written_to(tmp_path: Path, victim: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.link(victim / "precious", state / "initial-admin-password")
    server = Server(state, environment={"DOORWARD_ADMIN_PASSWORD": ""}).start()
    assert server.stop() == 0
    assert (victim / "precious").read_text() == "precious"
    assert (state / "initial-admin-password").read_text().strip() in "".join(server.output)


def test_what_was_in_order_still_serves(state: Path, tmp_path: Path, victim: Path) -> None:
    """Also through a link of one's own, with the link that a sandbox has for its time zone, and with what a kill left."""
    left = state / "backup/spool/run"
    left.mkdir(parents=True)
    (left / "link").symlink_to(victim)
    if os.geteuid() == 0:
        os.chown(left, STRANGER, STRANGER)
    assert (state / "root/etc/localtime").is_symlink()
    (tmp_path / "link").symlink_to(state)
    server = Server(tmp_path / "link").start()
    try:
        assert server.login("admin", PASSWORD).get("/api/info").status_code == 200
        assert not left.exists()
        assert (victim / "precious").exists()
    finally:
        assert server.stop() == 0
    for command in ("verify", "rotate-key"):
        code, said = run(command, tmp_path / "link")
        assert code == 0, said
