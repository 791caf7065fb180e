"""A transaction as a mapping: what is written is staged, and committed when the block ends."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from doorward.client.exchanges import TRANSACTION, ApiConversation, Exchange
from doorward.client.messages import Committed

T = TypeVar("T")


class Carrier(Protocol):
    """Carries out an exchange."""

    def __call__(self, exchange: Exchange[T]) -> T:
        """Return the result of an exchange."""


class AsyncCarrier(Protocol):
    """Carries out an exchange in an event loop."""

    async def __call__(self, exchange: Exchange[T]) -> T:
        """Return the result of an exchange."""


class OpenTransaction:
    """What a ``transaction()`` block writes into. ``committed`` is what came of it, None where nothing changed."""

    def __init__(self, run: Carrier, conversation: ApiConversation) -> None:
        self._run, self._conversation = run, conversation
        self.committed: Committed | None = None

    def __getitem__(self, path: str) -> Any:
        """Return the body of a resource as this transaction has it."""
        return self._run(self._conversation.read(path)).content["body"]

    def __setitem__(self, path: str, value: Any) -> None:
        """Put a body in place of the one that is there."""
        self._run(self._conversation.write("PUT", path, value))

    def __delitem__(self, path: str) -> None:
        """Remove an object."""
        self._run(self._conversation.write("DELETE", path))

    def add(self, path: str, value: Any) -> str:
        """Add an object to a collection, or make a secret; return its key."""
        return str(self._run(self._conversation.write("POST", path, value)).content["key"])

    def changes(self) -> list[dict[str, Any]]:
        """Return what is changed so far: ``type``, ``path``, ``pointer``, and values before and after."""
        return self._run(self._conversation.changes())

    def plan(self) -> dict[str, Any]:
        """Return what a commit would do: ``actions``, ``problems``, ``conflicts``, ``warnings``."""
        found: dict[str, Any] = self._run(self._conversation.read(f"{TRANSACTION}/plan")).content["body"]
        return found


class AsyncOpenTransaction:
    """The same for an event loop, where writes have names of their own."""

    def __init__(self, run: AsyncCarrier, conversation: ApiConversation) -> None:
        self._run, self._conversation = run, conversation
        self.committed: Committed | None = None

    async def get(self, path: str) -> Any:
        """Return the body of a resource as this transaction has it."""
        return (await self._run(self._conversation.read(path))).content["body"]

    async def put(self, path: str, value: Any) -> None:
        """Put a body in place of the one that is there."""
        await self._run(self._conversation.write("PUT", path, value))

    async def delete(self, path: str) -> None:
        """Remove an object."""
        await self._run(self._conversation.write("DELETE", path))

    async def add(self, path: str, value: Any) -> str:
        """Add an object to a collection, or make a secret; return its key."""
        return str((await self._run(self._conversation.write("POST", path, value))).content["key"])

    async def changes(self) -> list[dict[str, Any]]:
        """Return what is changed so far: ``type``, ``path``, ``pointer``, and values before and after."""
        return await self._run(self._conversation.changes())

    async def plan(self) -> dict[str, Any]:
        """Return what a commit would do: ``actions``, ``problems``, ``conflicts``, ``warnings``."""
        found: dict[str, Any] = (await self._run(self._conversation.read(f"{TRANSACTION}/plan"))).content["body"]
        return found
