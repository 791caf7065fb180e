"""Word from the kernel: of files in directories that are watched, and of the network."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from doorward.host.changes import HostChanges

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_SECONDS = 20.0


class Bell:
    """Counts how often it was rung."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self) -> None:
        self.event.set()

    def rings(self, seconds: float = WAIT_SECONDS) -> bool:
        rung = self.event.wait(seconds)
        self.event.clear()
        return rung


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def changes(bell: Bell) -> Iterator[HostChanges]:
    changes = HostChanges(bell, network=False)
    changes.start()
    yield changes
    changes.stop()


def test_whatever_happens_to_a_file_is_told(tmp_path: Path, bell: Bell, changes: HostChanges) -> None:
    changes.watch([tmp_path, tmp_path / "missing"])
    path = tmp_path / "file"
    path.write_text("one")
    assert bell.rings()
    path.write_text("two")
    assert bell.rings()
    path.chmod(0o600)
    assert bell.rings()
    path.rename(tmp_path / "other")
    assert bell.rings()
    (tmp_path / "link").symlink_to("other")
    assert bell.rings()
    (tmp_path / "other").unlink()
    assert bell.rings()


def test_only_what_is_watched_now_is_told(tmp_path: Path, bell: Bell, changes: HostChanges) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    changes.watch([tmp_path / "one"])
    changes.watch([tmp_path / "two"])
    assert bell.rings(), "the kernel says that the first one is watched no more"
    (tmp_path / "one" / "file").write_text("x")
    assert not bell.rings(0.3)
    (tmp_path / "two" / "file").write_text("x")
    assert bell.rings()


def test_a_directory_that_came_back_is_watched_again(tmp_path: Path, bell: Bell, changes: HostChanges) -> None:
    place = tmp_path / "place"
    place.mkdir()
    changes.watch([place])
    place.rmdir()
    place.mkdir()
    changes.watch([place])
    bell.event.clear()
    (place / "file").write_text("x")
    assert bell.rings()


def test_it_ends_when_it_is_told_to(bell: Bell) -> None:
    changes = HostChanges(bell, network=True)
    changes.watch([])
    changes.start()
    changes.stop()
    changes.stop()
    assert not [one for one in threading.enumerate() if one.name == "host changes"]
