"""Supervised children: real processes, short ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from structlog.testing import capture_logs

from doorward.host import supervise
from doorward.host.errors import HostError
from doorward.host.supervise import Child, end_stale, find_program
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.01)


@pytest.fixture
def keep() -> Iterator[Callable[[Child], Child]]:
    kept: list[Child] = []

    def add(child: Child) -> Child:
        kept.append(child)
        return child

    yield add
    for child in kept:
        child.stop()


def sh(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_dead_child_is_restarted_and_an_ended_one_is_not(keep: Callable[[Child], Child]) -> None:
    child = keep(Child("it", ["/bin/sleep", "60"]))
    child.start()
    until(lambda: child.pid)
    first = child.pid
    assert first is not None
    assert os.getsid(first) == first
    child.start()
    assert child.pid == first
    os.kill(first, signal.SIGKILL)
    until(lambda: child.pid not in {None, first})
    second = child.pid
    assert second is not None
    child.stop()
    assert not running(second)
    child.stop()


def test_pauses_grow_between_attempts(keep: Callable[[Child], Child]) -> None:
    with capture_logs() as logs:
        child = keep(Child("it", sh("exit 3")))
        child.start()
        until(lambda: len([entry for entry in logs if entry["event"] == "child process ended"]) == 3)
    pauses = [(entry["code"], entry["restart_in_seconds"]) for entry in logs if entry["event"] == "child process ended"]
    assert pauses == [(3, 0.2), (3, 0.4), (3, 0.8)]


def test_a_start_does_not_wait_for_the_pause(keep: Callable[[Child], Child], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "_FIRST_PAUSE", 30.0)
    lives: list[bool] = []
    ready = False

    def before() -> None:
        lives.append(True)
        if not ready:
            raise HostError("not yet")

    child = keep(Child("it", ["/bin/sleep", "60"], before=before))
    child.start()
    until(lambda: lives)
    ready = True
    child.start()
    until(lambda: child.pid)


def test_a_stubborn_child_is_killed(keep: Callable[[Child], Child], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(supervise, "_STOP_SECONDS", 0.3)
    ready = tmp_path / "ready"
    child = keep(Child("it", sh(f"trap '' TERM; touch {ready}; while :; do sleep 1; done")))
    child.start()
    until(ready.exists)
    pid = child.pid
    assert pid is not None
    child.stop()
    assert not running(pid)


def test_what_it_says_is_logged(keep: Callable[[Child], Child]) -> None:
    with capture_logs() as logs:
        child = keep(Child("it", sh("echo all is well; echo Could not do it >&2; sleep 60")))
        child.start()
        until(lambda: len([entry for entry in logs if entry["event"] == "child_says"]) == 2)
    said = [(entry["line"], entry["log_level"]) for entry in logs if entry["event"] == "child_says"]
    assert said == [("all is well", "debug"), ("Could not do it", "warning")]


def test_a_program_that_is_not_there(keep: Callable[[Child], Child], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "find_program", lambda _: None)
    with capture_logs() as logs:
        child = keep(Child("it", ["/nonexistent/program"]))
        child.start()
        until(lambda: any(entry["event"] == "child process not started" for entry in logs))
    assert child.pid is None


OWNER = """
import sys, time
from doorward.host.supervise import Child
child = Child("it", ["/bin/sleep", "61"])
child.start()
while child.pid is None:
    time.sleep(0.01)
time.sleep(0.1)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_child_does_not_outlive_a_killed_owner() -> None:
    assert find_program("setpriv"), "setpriv (Debian: util-linux) is needed"
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert owner.stdin is not None
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert running(pid)
    owner.kill()
    owner.wait()
    owner.stdin.close()
    owner.stdout.close()
    until(lambda: not running(pid))


def sleeper() -> Callable[[list[str]], bool]:
    return lambda command: command[-1:] == ["62"]


def test_a_stale_process_is_ended(tmp_path: Path) -> None:
    stale = subprocess.Popen(["/bin/sleep", "62"])
    # The kernel shows an empty command line for a moment after the program was started.
    until(psutil.Process(stale.pid).cmdline)
    pid_file = tmp_path / "pid"
    pid_file.write_text(f"{stale.pid}\n")
    end_stale(pid_file, sleeper())
    assert stale.wait(PATIENCE) == -signal.SIGTERM
    assert not pid_file.exists()
    end_stale(pid_file, sleeper())


def test_a_stubborn_stale_process_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "_STOP_SECONDS", 0.2)
    ready = tmp_path / "ready"
    stale = subprocess.Popen(["/bin/sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 1; done", "62"])
    until(ready.exists)
    (tmp_path / "pid").write_text(str(stale.pid))
    end_stale(tmp_path / "pid", sleeper())
    assert stale.wait(PATIENCE) == -signal.SIGKILL


@pytest.mark.parametrize("text", ["{stranger}", "not a number", "", "-1", "1", "999999999"])
def test_strangers_are_left_alone_but_the_file_goes(tmp_path: Path, text: str) -> None:
    stranger = subprocess.Popen(["/bin/sleep", "63"])
    pid_file = tmp_path / "pid"
    pid_file.write_text(text.format(stranger=stranger.pid))
    end_stale(pid_file, sleeper())
    assert stranger.poll() is None
    assert not pid_file.exists()
    stranger.kill()
    stranger.wait()
