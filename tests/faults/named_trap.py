"""Steps with names: the process dies with SIGKILL at the one that the file ``NAMED_TRAP`` names, once.

Where the file says ``wait`` and the name, it waits there until the file is gone. ``.held`` in place of its suffix says so.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TRAP = Path(os.environ["NAMED_TRAP"])


def step(name: str) -> None:
    """Die or wait if it is the one."""
    try:
        asked = _TRAP.read_text()
    except FileNotFoundError:
        return
    if asked == name:
        _TRAP.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()  # the signal is on its way
    elif asked == f"wait {name}":
        _TRAP.with_suffix(".held").touch()
        while _TRAP.exists():
            time.sleep(0.05)


def around(owner: Any, name: str, what: Callable[..., str]) -> None:
    """Put a step ahead of a function and one behind it."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def stepped(*arguments: Any, **options: Any) -> Any:
        described = what(*arguments)
        step(f"before {described}")
        result = original(*arguments, **options)
        step(f"after {described}")
        return result

    setattr(owner, name, stepped)
