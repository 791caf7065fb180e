from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from doorward.backup.failure import BackupError
from doorward.backup.targets.attempt import TargetAttempt, Watchdog, checked
from doorward.backup.targets.port import describe, open_target
from tests.support.waiting import PATIENCE

NODE = "46f97a58-4028-467d-9a22-9cfe78ae3e1c"


def attempt(**changed: Any) -> TargetAttempt:
    usual = {"node": NODE, "per_node": False, "stop": threading.Event(), "workdir": Path("/nowhere")}
    return TargetAttempt(**{**usual, "deadline": time.monotonic() + 60, "stall": 60.0, "label": "rsync://x/y", **changed})


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"type": "rsync", "server": {"value": "b.example"}, "port": 22, "path": "/srv/b"}, "rsync://b.example/srv/b"),
        ({"type": "rsync", "server": {"value": "fd00::1"}, "port": 2222, "path": "rel"}, "rsync://[fd00::1]:2222/~/rel"),
        ({"type": "smb", "server": {"value": "10.0.0.1"}, "port": 445, "share": "b$", "path": ""}, "smb://10.0.0.1/b$"),
        ({"type": "smb", "server": {"value": "s"}, "port": 1445, "share": "b", "path": "x/y"}, "smb://s:1445/b/x/y"),
        ({"type": "nfs", "server": {"value": "1.2.3.5"}, "path": "/data"}, "nfs://1.2.3.5/data"),
    ],
)
def test_a_target_in_a_word(target: dict[str, Any], expected: str) -> None:
    assert describe(target) == expected


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a*", "a b", "ä", "x" * 201])
def test_names_that_would_need_escaping_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        checked(name)


def test_leftovers_are_told_by_our_id() -> None:
    ours = "doorward-20261121T230002Z-46f97a58.config"
    assert attempt().directories == ("config",)
    assert attempt(per_node=True).directories == (NODE, "config")
    for name in (
        f".{ours}.part",
        f".{ours}.gpg.part",
        f".{ours}.gpg.manifest.part",
        f".{ours}.gpg.aB3dE6",
        f".doorward-probe-{NODE}",
    ):
        assert attempt().leftover(name), name
    other = ours.replace("46f97a58", "00000000")
    for name in (
        ours,
        f"{ours}.part",
        f".{ours}",
        f".{other}.part",
        f".{ours}.aB3dE67",
        f".x{ours}.part",
        f".{ours}.gpg.zip.part",
        f".doorward-probe-{NODE}.part",
        f"doorward-probe-{NODE}",
    ):
        assert not attempt().leftover(name), name


def test_a_long_path_leaves_room_for_the_words() -> None:
    failure = attempt(label="rsync://x/" + "y" * 1024).failed("no_space", "Writing " + "n" * 100, "No space left on device (28)")
    assert failure.message.endswith("…: No space left on device (28).")
    assert len(failure.message) <= 500


def no_secret(_key: str) -> str | None:
    return None


def test_nothing_begins_when_it_is_over() -> None:
    stop = threading.Event()
    target = {"type": "nfs", "server": {"value": "192.0.2.1"}, "path": "/x"}
    options: dict[str, Any] = {"node": NODE, "per_node": False, "stop": stop, "workdir": Path("/nowhere")}
    with pytest.raises(BackupError, match="timeout"):
        open_target(target, no_secret, **options, attempt_seconds=0)
    stop.set()
    with pytest.raises(BackupError, match="cancelled"):
        open_target(target, no_secret, **options)


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"stall": 0.2}, "stalled"), ({"deadline": 0.0}, "timeout"), ({"stop": "set"}, "cancelled")],
)
def test_the_watchdog_cuts_what_is_over(changed: dict[str, Any], code: str) -> None:
    if "stop" in changed:
        changed = {"stop": threading.Event()}
        changed["stop"].set()
    cut = threading.Event()
    dog = Watchdog(attempt(**changed), cut.set)
    with dog.working():
        assert cut.wait(PATIENCE)
    dog.stop()
    assert dog.reason is not None
    assert dog.reason[0] == code
