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
from tests.faults.plan import ROTATION
from tests.faults.victim import TRAP, Survey
from tests.support.server import PASSWORD, Server
from tests.support.waiting import PATIENCE
from tests.support.zygote import UNMEASURED, fork

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
    environment = {**os.environ, **UNMEASURED, "DOORWARD_TRAP": str(trap)}
    process = fork([str(TRAP), "rotate-key", "--state", str(state)], environment)
    with process.stdout as output, process.stderr as errors:
        said = output.read() + errors.read()
    assert process.wait() in {0, -signal.SIGKILL}, said
    return process.returncode != 0


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


def copy(prepared: tuple[Path, str], directory: Path) -> Path:
    """Return a state directory of its own."""
    state = directory / "state"
    shutil.copytree(prepared[0], state, symlinks=True, ignore=shutil.ignore_patterns("root", "run"))
    return state


def survey(state: Path) -> Survey:
    """Change the key, and look at what a kill would leave at each step."""
    assert not trapped(state, str(state))
    return Survey.read((state.parent / "trap.steps").read_text().splitlines())


def kill(prepared: tuple[Path, str], directory: Path, step: int) -> bool:
    """Kill a change of the key; the next start puts it right, and so does the next change."""
    template, key = prepared
    before = (template / KEY).read_bytes()
    state = copy(prepared, directory / f"step{step}")
    died = trapped(state, step)
    again = directory / f"again{step}" / "state"
    shutil.copytree(state, again, symlinks=True)
    settle(state)
    check_whole(state, key, before)
    rotated(again)
    check_whole(again, key, before)
    assert (again / KEY).read_bytes() not in {before, (state / KEY).read_bytes()}
    return died


def test_a_kill_at_any_step_leaves_one_whole_key(prepared: tuple[Path, str], tmp_path: Path) -> None:
    seen = survey(copy(prepared, tmp_path))
    seen.all_killed(lambda step: kill(prepared, tmp_path, step), ROTATION)


@pytest.mark.parametrize("step", ["before COMMIT", "after COMMIT", "before replace"])
def test_a_server_starts_after_the_kill_and_everybody_can_log_in(prepared: tuple[Path, str], tmp_path: Path, step: str) -> None:
    template, key = prepared
    state = copy(prepared, tmp_path)
    assert trapped(state, step), "survived: there is no such step"
    server = Server(state, environment=UNMEASURED).start()
    assert server.login(password=PASSWORD).body(f"/api/configuration/passwords/{key}")["form"] == "plain"
    server.stop()
    check_whole(state, key, (template / KEY).read_bytes())


def test_a_running_server_keeps_its_key(prepared: tuple[Path, str], tmp_path: Path) -> None:
    state = copy(prepared, tmp_path)
    before = (state / KEY).read_bytes()
    server = Server(state, environment=UNMEASURED).start()
    command = [sys.executable, "-m", "doorward", "rotate-key", "--state", str(state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert server.process
    assert done.stderr == (
        f"The data key was not changed: Another server (process {server.process.pid}) uses the state directory {state}.\n"
    )
    assert (state / KEY).read_bytes() == before
    server.stop()
