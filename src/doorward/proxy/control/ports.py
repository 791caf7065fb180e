"""What control is given from outside. Small, so that tests can stand in for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from doorward.proxy.messages import PipeMessage

Secret = Callable[[str], str | None]
"""Returns the text, or the hash, of a secret by its key; None: there is none. Blocks for a moment; in any thread."""


class WorkerLink(Protocol):
    """The pipe to one worker, such as `pipe.ControlEnd`. In the event loop."""

    def send(self, message: PipeMessage, descriptor: int | None = None) -> bool:
        """Send a message, with a duplicate of a descriptor. Never waits. Whether the pipe is open."""

    def __aiter__(self) -> AsyncIterator[PipeMessage]:
        """Yield what the worker says; ends with the pipe. No more is read than is asked for."""

    def close(self, reason: str = "") -> None:
        """End the pipe."""
