"""What a program did to its disk, and the disks that a loss of power may leave of it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.proof.disk_log import Disk, Entry


@dataclass
class Recording:
    """What a program did to its disk, which was empty at first."""

    root: Path
    entries: list[Entry]

    def places(self, count: int, dice: random.Random) -> list[int]:
        """Return places to cut at, by chance."""
        return [dice.randint(0, len(self.entries)) for _ in range(count)]

    def cuts(self, places: list[int], dice: random.Random, into: Path) -> Iterator[tuple[int, Path]]:
        """Yield a directory for each cut, with the entry that it came before."""
        disk, fed = Disk(self.root, dice), 0
        for number, at in enumerate(sorted(places)):
            while fed < at:
                disk.feed(self.entries[fed])
                fed += 1
            directory = into / f"cut-{number}"
            directory.mkdir()
            disk.cut(directory)
            yield at, directory
            shutil.rmtree(directory)

    @cached_property
    def said(self) -> list[tuple[int, dict[str, Any]]]:
        """What the test knew, each with the number of its entry."""
        marks = [(number, json.loads(entry.name)) for number, entry in enumerate(self.entries) if entry.kind == "M"]
        return [(number, said) for number, said in marks if "site" not in said]

    def marks(self, until: int) -> Iterator[dict[str, Any]]:
        """Yield what the test knew before a cut."""
        return (said for number, said in self.said if number < until)
