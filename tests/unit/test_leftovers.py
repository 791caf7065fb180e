"""What tests leave behind is seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support import leftovers
from tests.support.leftovers import Leftovers
from tests.support.server import until


@pytest.fixture
def end() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name.startswith("left"):
            thread.join()


def test_a_thread_that_works_on_is_told_with_who_left_it(end: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "MAX_BUSY_SECONDS", 0.05)
    found = Leftovers()
    found.busy("zero.py")
    begun = threading.Event()

    def work() -> None:
        begun.wait()
        while not end.is_set():
            pass

    for name, does in (("left busy", work), ("left waiting", end.wait)):
        threading.Thread(target=does, name=name).start()
    assert found.busy("one.py") == []
    begun.set()
    (told,) = until(lambda: found.busy("two.py"))
    assert told.startswith("left busy, left by one.py, took 0.")
    assert told.endswith("s of processor time during two.py")
