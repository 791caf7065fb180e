"""What a start leaves out, so that it takes half a second: work for things that a server does not use."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def start() -> Iterator[None]:
    """Surround the imports and the run of a server, which calls ``gc.enable`` when it is ready.

    Until then nothing looks for garbage: the thousand modules of a start hold hardly any. pydantic loads no plugins: it would
    search all installed packages for them, and run what it finds.
    """
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        with missing("rich"):  # which structlog imports for tracebacks that would show local variables
            import structlog  # noqa: F401 - it is to be there
        with replaced("importlib.metadata", entry_points=None):  # for the plugins that pydantic does not load
            import pydantic.plugin._loader  # noqa: F401 - as above
        with replaced("uvicorn.main", main=None, run=None, Server=None):  # its command line, with another Click
            import uvicorn  # noqa: F401 - as above
        yield
    finally:
        gc.enable()


@contextmanager
def replaced(name: str, **members: object) -> Iterator[None]:
    """Let an import find a module with these members alone, unless it was imported before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = ModuleType(name)
    vars(sys.modules[name]).update(members)
    try:
        yield
    finally:
        del sys.modules[name]


@contextmanager
def missing(name: str) -> Iterator[None]:
    """Let an import find that an optional package is not installed, unless it was imported before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # the import system raises ModuleNotFoundError for it
    try:
        yield
    finally:
        del sys.modules[name]
