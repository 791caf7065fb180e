"""Processor time of a server with all that it starts, also of children that nobody waits for: by a control group (cgroup v2)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))


@dataclass(frozen=True)
class ProcessorTime:
    """Of the processes of a group. ``group``: None where groups can't be made."""

    group: Path | None

    def seconds(self) -> float:
        """Return the seconds so far, of user and system; always 0 where groups can't be made."""
        if self.group is None:
            return 0.0
        figures = dict(line.split() for line in (self.group / "cpu.stat").read_text().splitlines())
        return int(figures["usage_usec"]) / 1e6


@contextmanager
def processor_time(pid: int) -> Iterator[ProcessorTime]:
    """Put a process into a group of its own, with what it starts meanwhile, which ends here. Needs root and cgroup v2."""
    root = next((mount for mount in _MOUNTS if (mount / "cgroup.controllers").exists()), None)
    if root is None or os.geteuid() != 0:
        yield ProcessorTime(None)
        return
    group = root / f"doorward-bench-{os.getpid()}-{pid}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(pid))
        yield ProcessorTime(group)
    finally:
        for left in map(int, (group / "cgroup.procs").read_text().split()):
            with suppress(OSError):  # it may have ended
                if left == pid:
                    (root / "cgroup.procs").write_text(str(pid))
                else:  # a session of its own, which would stay when the server ends
                    os.kill(left, signal.SIGKILL)
        with suppress(OSError):  # a child may be on its way out
            group.rmdir()
