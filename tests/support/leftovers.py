"""Threads that tests leave behind: those that work on take time from all later tests of the process, and fill its memory."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

MAX_BUSY_SECONDS = 1.0
"""Of processor time, of a thread that was left, while another file is tested. One that waits takes none."""
_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Leftovers:
    """The threads that were left by files of tests, and the processor time that each has taken."""

    known: dict[threading.Thread, tuple[str, float]] = field(default_factory=dict)

    def busy(self, file: str) -> list[str]:
        """Look at the threads when a file is done; return what those did that earlier ones left, if it is too much."""
        now = {thread: _seconds(thread) for thread in threading.enumerate() if thread is not threading.main_thread()}
        found = [
            f"{thread.name}, left by {left_by}, took {now[thread] - before:.1f} s of processor time during {file}"
            for thread, (left_by, before) in self.known.items()
            if thread in now and now[thread] - before > MAX_BUSY_SECONDS
        ]
        self.known = {thread: (self.known.get(thread, (file, 0.0))[0], seconds) for thread, seconds in now.items()}
        return found


def _seconds(thread: threading.Thread) -> float:
    """Return the processor time of a thread; none of one that has just ended."""
    try:
        stat = Path(f"/proc/self/task/{thread.native_id}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * _TICK
