"""Doorward with other limits and another clock.

``HASTY`` holds limits to set, as ``module.NAME=seconds`` divided by blanks; several seconds are divided by commas. ``DAYS_LATER``
moves the moment of a login by days, and the clock of backups. ``RELEASE`` is what other nodes take for the release. What stands
at ``TRIAL_OVER`` ends the time to confirm a commit.
"""

from __future__ import annotations

import importlib
import os
import threading
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

from doorward.access import authentication
from doorward.appliance import node
from doorward.backup import records
from doorward.cli import main
from doorward.transaction.confirmation import Confirmations

for limit in os.environ.get("HASTY", "").split():
    name, _, seconds = limit.partition("=")
    module, _, attribute = name.rpartition(".")
    several = tuple(map(float, seconds.split(",")))
    limited = importlib.import_module(module)
    assert isinstance(getattr(limited, attribute), tuple if several[1:] else int | float)
    setattr(limited, attribute, several if several[1:] else several[0])


class Later(datetime):
    """The time, some days on."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(days=int(os.environ["DAYS_LATER"]))


class HurriedConfirmations(Confirmations):
    """The time to confirm is over as well once a file is there, which is taken away."""

    def _arm(self, seconds: float) -> None:
        super()._arm(seconds)
        threading.Thread(target=self._watch, args=(self._timer, Path(os.environ["TRIAL_OVER"])), daemon=True).start()

    def _watch(self, timer: threading.Timer, file: Path) -> None:
        while not timer.finished.wait(0.05):
            if file.exists():
                file.unlink()
                timer.cancel()
                self._until = self._clock.monotonic()
                self._in_commit_thread(self.go_back)


if "TRIAL_OVER" in os.environ:
    node.Confirmations = HurriedConfirmations  # type: ignore[attr-defined]

if "RELEASE" in os.environ:
    node.__version__ = os.environ["RELEASE"]  # type: ignore[attr-defined]

if "DAYS_LATER" in os.environ:
    authentication.datetime = Later  # type: ignore[attr-defined]
    records.datetime = Later  # type: ignore[attr-defined]

main()
