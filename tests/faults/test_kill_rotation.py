"""kill -9 at every step of a change of the data key: the old key or the new one is in force, and opens everything."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from doorward.cli.rotate import rotated
from doorward.store.rotation import KEY, settle, unsettled
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.faults.plan import BEYOND, ROTATION
from tests.faults.victim import TRAP
from tests.support.server import PASSWORD, Server
from tests.support.zygote import UNMEASURED

SECRET = "the password of the mail server"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A state directory that a server left, and the key of a secret that lies sealed in it."""
    state = tmp_path_factory.mktemp("rotation") / "state"
    server = Server(state, environment=UNMEASURED).start()
    client = server.login()
    key = client.post("/api/configuration/passwords", {"plain": SECRET}).json()["key"]
    assert client.commit().is_success
    server.stop()
    return state, key


def trapped(state: Path, step: int | str) -> bool:
    """Change the key, with death at a step of it; whether it died."""
    trap = state.parent / "trap"
    trap.write_text(str(step))
    command = [sys.executable, str(TRAP), "rotate-key", "--state", str(state)]
    environment = {**os.environ, **UNMEASURED, "DOORWARD_TRAP": str(trap)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


def check_whole(state: Path, key: str, before: bytes) -> None:
    """One key is left, it is the one of everything, and where it is a new one nothing of the old one remains."""
    assert not unsettled(state)
    now = (state / KEY).read_bytes()
    vault = Vault(now)
    store = SqliteStore(state / "doorward.db", vault)
    assert store.marked()
    assert store.check() == []
    secret = store.secret(key)
    assert secret is not None
    assert vault.open(secret.name, secret.sealed) == SECRET
    store.close()
    holding = [path for path in state.rglob("*") if path.is_file() and not path.is_symlink() and before in path.read_bytes()]
    assert holding == ([state / KEY] if now == before else [])


def kill(prepared: tuple[Path, str], directory: Path, step: int) -> bool:
    """Kill a change of the key; the next start puts it right, and so does the next change."""
    template, key = prepared
    before = (template / KEY).read_bytes()
    state = directory / f"step{step}" / "state"
    shutil.copytree(template, state, symlinks=True, ignore=shutil.ignore_patterns("root", "run"))
    died = trapped(state, step)
    again = directory / f"again{step}" / "state"
    shutil.copytree(state, again, symlinks=True)
    settle(state)
    check_whole(state, key, before)
    rotated(again)
    check_whole(again, key, before)
    assert (again / KEY).read_bytes() not in {before, (state / KEY).read_bytes()}
    return died


@pytest.mark.parametrize("step", range(1, ROTATION + 1))
def test_a_kill_at_a_step_leaves_one_whole_key(prepared: tuple[Path, str], tmp_path: Path, step: int) -> None:
    assert kill(prepared, tmp_path, step), "survived: there are fewer steps than planned"


def test_no_step_is_left_out(prepared: tuple[Path, str], tmp_path: Path) -> None:
    further = range(ROTATION + 1, ROTATION + BEYOND)
    assert not all(kill(prepared, tmp_path, step) for step in further), "there are many more steps than planned"


@pytest.mark.parametrize("step", ["before COMMIT", "after COMMIT", "before replace"])
def test_a_server_starts_after_the_kill_and_everybody_can_log_in(prepared: tuple[Path, str], tmp_path: Path, step: str) -> None:
    template, key = prepared
    state = tmp_path / "state"
    shutil.copytree(template, state, symlinks=True, ignore=shutil.ignore_patterns("root", "run"))
    assert trapped(state, step), "survived: there is no such step"
    server = Server(state, environment=UNMEASURED).start()
    assert server.login(password=PASSWORD).body(f"/api/configuration/passwords/{key}")["form"] == "plain"
    server.stop()
    check_whole(state, key, (template / KEY).read_bytes())


def test_a_running_server_keeps_its_key(prepared: tuple[Path, str], tmp_path: Path) -> None:
    template, _ = prepared
    state = tmp_path / "state"
    shutil.copytree(template, state, symlinks=True, ignore=shutil.ignore_patterns("root", "run"))
    before = (state / KEY).read_bytes()
    server = Server(state, environment=UNMEASURED).start()
    command = [sys.executable, "-m", "doorward", "rotate-key", "--state", str(state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert server.process
    assert done.stderr == (
        f"The data key was not changed: Another server (process {server.process.pid}) uses the state directory {state}.\n"
    )
    assert (state / KEY).read_bytes() == before
    server.stop()
