"""Who a server of the system host becomes when root starts it, and what it is given."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import pytest

from doorward.cli import splitting
from doorward.cli.splitting import FrontAccount, SplitError, front_account, hand_over
from doorward.store.lock import StateInUseError


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were given to another account, in order."""
    names: list[str] = []

    def chown(path: str | Path, uid: int, gid: int, **_: object) -> None:
        assert (uid, gid) == (64701, 64702)
        names.append(Path(path).name)

    monkeypatch.setattr(os, "chown", chown)
    return names


def test_a_state_directory_of_another_account_is_served_by_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "stat", lambda *_, **__: os.stat_result((0o40700, 1, 1, 1, 64701, 64799, 0, 0, 0, 0)))
    assert front_account(tmp_path) == FrontAccount(64701, 64799)


def test_a_new_one_is_served_by_the_account_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = pwd.struct_passwd(("doorward", "x", 64701, 64702, "", "/", "/"))
    monkeypatch.setattr(pwd, "getpwnam", {"doorward": known}.__getitem__)
    assert front_account(tmp_path / "new") == FrontAccount(64701, 64702)
    monkeypatch.setattr(pwd, "getpwnam", {}.__getitem__)
    with pytest.raises(SplitError, match=r"there is no account doorward for it\. Make one: useradd --system"):
        front_account(tmp_path / "new")


def test_what_was_roots_is_given_whole_the_directory_last(tmp_path: Path, given: list[str]) -> None:
    state = tmp_path / "state"
    (state / "backup" / "spool").mkdir(parents=True)
    state.chmod(0o700)
    (state / "data.key").write_text("")
    (state / "backup" / "spool" / "part").write_text("")
    hand_over(state, FrontAccount(64701, 64702))
    assert sorted(given) == ["backup", "data.key", "part", "spool", "state"]
    assert given[-1] == "state", "cut short, it begins anew"


def test_a_state_directory_that_others_can_change_is_not_given(tmp_path: Path, given: list[str]) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "link").symlink_to("/etc/shadow")
    with pytest.raises(StateInUseError, match="symbolic link"):
        hand_over(state, FrontAccount(64701, 64702))
    assert given == []


def test_only_root_that_knows_of_no_helper_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("DOORWARD_HELPER", raising=False)
    assert splitting.is_needed()
    monkeypatch.setenv("DOORWARD_HELPER", "/run/doorward/host.sock")
    assert not splitting.is_needed()
    monkeypatch.delenv("DOORWARD_HELPER")
    monkeypatch.setattr(os, "geteuid", lambda: 64701)
    assert not splitting.is_needed()


def test_what_looks_has_no_terminal_of_root(capfd: pytest.CaptureFixture[str]) -> None:
    script = "import os, sys; print(os.getsid(0) == os.getpid()); sys.exit(int(os.environ['CODE']))"
    assert splitting.run_apart([sys.executable, "-c", script], {"CODE": "7"}) == 7
    assert capfd.readouterr().out == "True\n"
    assert splitting.run_apart(["sh", "-c", "kill -KILL $$"], os.environ) == 137
