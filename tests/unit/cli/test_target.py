from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from doorward.cli.failures import Usage
from doorward.cli.options import ConnectionOptions
from doorward.cli.target import password, resolved


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of a node that runs at an address of a network device."""
    for name in [name for name in os.environ if name.startswith("DOORWARD_")]:
        monkeypatch.delenv(name)
    (tmp_path / "address").write_text("https://192.0.2.5:443\n")
    (tmp_path / "lock").write_text(str(os.getpid()))
    (tmp_path / "initial-admin-password").write_text("first-password\n")
    return tmp_path


def test_the_first_password_is_for_the_node_itself(state: Path) -> None:
    target = resolved(ConnectionOptions(state=state))
    assert target.url == "https://192.0.2.5:443"
    assert target.first_password == state / "initial-admin-password"


@pytest.mark.parametrize("url", ["https://192.0.2.6:443", "https://192.0.2.5:8443", "https://node.example.com"])
def test_the_first_password_goes_nowhere_else(state: Path, url: str) -> None:
    assert resolved(ConnectionOptions(state=state, url=url)).first_password is None


def test_the_first_password_is_of_admin(state: Path) -> None:
    assert resolved(ConnectionOptions(state=state, user="other")).first_password is None


def test_a_node_that_does_not_run_is_not_asked(state: Path) -> None:
    (state / "lock").write_text("4194304")
    assert resolved(ConnectionOptions(state=state, url="https://192.0.2.5:443")).first_password is None


def test_the_first_password_is_what_the_file_holds(state: Path) -> None:
    assert password(resolved(ConnectionOptions(state=state))) == "first-password"


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to, lambda path, _: os.mkfifo(path)])
def test_a_node_leads_its_reader_to_no_other_file(state: Path, tmp_path: Path, make: Callable[[Path, Path], object]) -> None:
    """What is read there is sent to the server, so that one that was taken over would get it from root."""
    file, other = state / "initial-admin-password", tmp_path / "shadow"
    other.write_text("of-somebody-else")
    file.unlink()
    make(file, other)
    with pytest.raises(Usage, match=r"initial-admin-password can't be read: "):
        password(resolved(ConnectionOptions(state=state)))


def test_nor_to_a_file_of_somebody_else(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = state.stat()
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result((0o100600, 1, 1, 1, owner.st_uid + 1, 0, 9, 0, 0, 0)))
    with pytest.raises(Usage, match="not a file of its owner alone"):
        password(resolved(ConnectionOptions(state=state)))
