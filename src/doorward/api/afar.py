"""Work that waits for other machines: in threads of its own, so that nobody else waits for a server that says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

_MOST = 8
"""So much of it at a time; more waits in line."""

_threads = ThreadPoolExecutor(_MOST, thread_name_prefix="afar")
_Given = ParamSpec("_Given")
_T = TypeVar("_T")


async def afar(work: Callable[_Given, _T], *given: _Given.args, **named: _Given.kwargs) -> _T:
    """Do blocking work that depends on another machine, and return its result."""
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(work, *given, **named))
