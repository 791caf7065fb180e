"""Work that waits for other machines: in threads of its own, so that nobody else waits for a server that says nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from doorward.api.workers import REMOTE

_Given = ParamSpec("_Given")
_T = TypeVar("_T")


async def call_remote(work: Callable[_Given, _T], *given: _Given.args, **named: _Given.kwargs) -> _T:
    """Do blocking work that depends on another machine, and return its result."""
    return await REMOTE.run("", work, *given, **named)
