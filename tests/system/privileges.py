"""What programs may do that the server starts, as the kernel says it of them while they run."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def watched_programs(*programs: str) -> Iterator[Callable[[], dict[str, list[str]]]]:
    """Have programs leave their status before they begin; what is given returns the statuses of each that was started."""
    before = os.environ["PATH"]
    with tempfile.TemporaryDirectory(prefix="doorward-watched-") as made:
        directory = Path(made)
        directory.chmod(0o777)
        for program in programs:
            real = shutil.which(program)
            assert real, f"{program} is not installed"
            script = directory / program
            script.write_text(f'#!/bin/sh\ncat /proc/$$/status > {directory}/{program}-$$.status\nexec {real} "$@"\n')
            script.chmod(0o755)
        os.environ["PATH"] = f"{directory}{os.pathsep}{before}"
        found: dict[str, list[str]] = {}

        def seen() -> dict[str, list[str]]:
            for file in directory.glob("*.status") if directory.exists() else ():
                found.setdefault(file.name.rpartition("-")[0], []).append(file.read_text())
                file.unlink()
            return found

        try:
            yield seen
        finally:
            os.environ["PATH"] = before
            seen()


def assert_unprivileged(status: str, *, capabilities: int = 0) -> None:
    """Check that a process is not root, has no capabilities but these and can get none."""
    fields = dict(re.findall(r"^(\w+):[ \t]*(.*)$", status, re.MULTILINE))
    assert "0" not in fields["Uid"].split()
    assert "0" not in fields["Gid"].split()
    assert fields["Groups"].split() == []
    assert fields["NoNewPrivs"] == "1"
    for kind in ("CapInh", "CapAmb"):
        assert int(fields[kind], 16) == 0
    for kind in ("CapPrm", "CapEff"):
        assert int(fields[kind], 16) == capabilities
