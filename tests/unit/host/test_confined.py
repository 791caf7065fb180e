"""Programs that run as the account of the server do not get at its state directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from doorward.host import confined, unprivileged


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory, of a server that is not root."""
    made = tmp_path / "lib" / "state"
    (made / "backup" / "spool").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for path in (made / "data.key", made / "backup" / "archive", made / "backup" / "spool" / "part", tmp_path / "beside"):
        path.write_text("content")
    monkeypatch.setattr(unprivileged, "account", lambda: None)
    monkeypatch.setattr(unprivileged, "_hidden", [])
    unprivileged.hide(made, made / "backup" / "spool")
    return made


def ran(*program: str, stdin: int = subprocess.DEVNULL) -> tuple[int, str]:
    command = unprivileged.command(program)
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False, restore_signals=False)
    return done.returncode, done.stdout + done.stderr


def test_the_state_directory_is_closed_to_programs(state: Path, tmp_path: Path) -> None:
    for closed in (state / "data.key", state / "backup" / "archive", state / "backup" / ".." / "data.key"):
        code, said = ran("cat", str(closed))
        assert (code, "Permission denied" in said) == (1, True), said
    for closed in (state / "new", state.parent / "new", state / "backup" / "new"):
        assert ran("touch", str(closed))[0] != 0
        assert not closed.exists()
    assert ran("ln", "-s", str(state / "data.key"), str(state / "backup" / "spool" / "link"))[0] == 0
    assert ran("cat", str(state / "backup" / "spool" / "link"))[0] != 0
    assert ran("mv", str(tmp_path / "lib"), str(tmp_path / "moved"))[0] != 0
    # What is given to it, and all that is elsewhere, stays open to it.
    assert ran("cat", str(state / "backup" / "spool" / "part"), str(tmp_path / "beside")) == (0, "contentcontent")
    assert ran("touch", str(state / "backup" / "spool" / "new"), str(tmp_path / "other" / "new")) == (0, "")
    assert ran("sh", "-c", "echo x > /dev/null") == (0, "")
    with (state / "data.key").open() as key:
        assert ran("cat", stdin=key.fileno()) == (0, "content"), "what is open is given"


def test_a_program_that_is_missing_is_told_from_one_that_fails(state: Path) -> None:
    assert ran("no-such-program") == (127, "no-such-program: No such file or directory\n")
    del state


def test_a_server_that_is_root_has_another_account_for_them(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unprivileged, "account", lambda: unprivileged.UnprivilegedAccount(1, 1))
    assert unprivileged.confinement() == []
    del state


def test_a_kernel_without_landlock_runs_programs_all_the_same(state: Path, tmp_path: Path) -> None:
    script = (
        "import ctypes, sys; sys.path.insert(0, sys.argv[1])\n"
        "import confined\n"
        "confined._CREATE = 100000\n"
        "print(confined.confine(sys.argv[2], '/'), open(sys.argv[2] + '/data.key').read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(Path(confined.__file__).parent), str(state)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False content\n"
    del tmp_path
