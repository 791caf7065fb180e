"""Word to systemd."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from doorward.host.notify import handed_over, is_journal, notify, watchdog_seconds


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_is_told_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_abstract: bool) -> None:
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}" if is_abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if is_abstract else name)
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"
    notify("STOPPING=1")  # nobody listens any more
    monkeypatch.setenv("NOTIFY_SOCKET", "elsewhere")
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")


@pytest.mark.parametrize(
    ("wanted", "process", "seconds"),
    [("30000000", "", 15.0), ("30000000", "own", 15.0), ("30000000", "1", None), ("0", "", None), ("", "", None)],
)
def test_the_watchdog_is_fed_twice_in_its_time(
    monkeypatch: pytest.MonkeyPatch, wanted: str, process: str, seconds: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", wanted)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if process == "own" else process)
    assert watchdog_seconds() == seconds


def test_a_descriptor_goes_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, socket.create_server(("127.0.0.1", 0)) as listening:
        systemd.bind(f"{tmp_path}/notify")
        monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
        notify("FDSTORE=1", listening.fileno())
        said, [descriptor], _, _ = socket.recv_fds(systemd, 100, 1)
        with socket.socket(fileno=descriptor) as kept:
            assert (said, kept.getsockname()) == (b"FDSTORE=1", listening.getsockname())


@pytest.mark.parametrize(("count", "process"), [("2", "1"), ("", "own"), ("x", "own"), ("0", "own")])
def test_descriptors_of_somebody_else_are_not_taken(monkeypatch: pytest.MonkeyPatch, count: str, process: str) -> None:
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()) if process == "own" else process)
    assert handed_over() == []
    assert "LISTEN_FDS" not in os.environ


def test_the_journal_is_known_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "other").open("w") as other:
        assert not is_journal(journal.fileno())
        facts = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino}")
        assert (is_journal(journal.fileno()), is_journal(other.fileno())) == (True, False)
    assert not is_journal(2**20), "nor is what is not open"
