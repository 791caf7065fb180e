"""The client for event loops (asyncio)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self, TypeVar

import httpx2

from doorward.client.carrier import ApiClient, as_arguments, as_reply, reaching
from doorward.client.errors import ClientError, UnreachableError
from doorward.client.exchanges import LOGIN, Exchange, full, if_match, sent_path
from doorward.client.messages import ApiAnswer, ClientReply, ClientRequest, Committed
from doorward.client.streams import EventReader, LineSplitter
from doorward.client.transaction import AsyncOpenTransaction

T = TypeVar("T")


class AsyncClient(ApiClient[httpx2.AsyncClient]):
    """One login session, as `doorward.client.Client`; one request at a time."""

    _kind = httpx2.AsyncClient

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Log out, which discards an open transaction, and close the connection."""
        try:
            if self.conversation.token is not None or self._http.cookies:
                await self._round(ClientRequest("DELETE", LOGIN))
        except ClientError:
            pass  # the login session ends by itself
        await self._http.aclose()

    async def login(self, user: str, password: str) -> None:
        """Log in. Raises LoginRefusedError."""
        self._http.cookies.clear()
        await self._run(self.conversation.log_in(user, password))

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> ApiAnswer:
        """Read a resource."""
        return await self._run(self.conversation.read(path, query))

    async def body(self, path: str) -> Any:
        """Read the ``body`` of a resource."""
        return (await self.get(path)).content["body"]

    async def write(self, method: str, path: str, value: Any = None, *, match: str = "") -> ApiAnswer:
        """Send POST, PUT or DELETE. ``match`` is an entity tag for If-Match."""
        return await self._run(self.conversation.write(method, path, value, headers=if_match(match)))

    async def commit_changes(
        self, changes: Sequence[Mapping[str, Any]], message: str | None = None, confirm_seconds: int | None = None
    ) -> Committed:
        """Stage and commit changes in one request, all or none; see `Client.commit_changes`."""
        return await self._run(self.conversation.commit_changes(changes, message, confirm_seconds, self.patience))

    async def confirm(self) -> None:
        """Keep what runs and awaits its confirmation."""
        await self._run(self.conversation.confirm())

    @asynccontextmanager
    async def transaction(
        self, message: str | None = None, *, confirm_seconds: int | None = None
    ) -> AsyncIterator[AsyncOpenTransaction]:
        """Open a transaction for a block, and commit what it changed; what raises discards everything."""
        await self._run(self.conversation.open())
        made = AsyncOpenTransaction(self._run, self.conversation)
        try:
            yield made
            if await made.changes():
                made.committed = await self._run(self.conversation.commit(message, confirm_seconds, self.patience))
            else:
                await self._run(self.conversation.discard())
        except BaseException:
            with suppress(ClientError):
                await self._run(self.conversation.discard())
            raise

    async def events(self, path: str, query: Mapping[str, str]) -> AsyncIterator[tuple[str, str]]:
        """Yield server-sent events as they come: name and data. Raises UnreachableError also where they break off."""
        splitter, reader = LineSplitter(), EventReader()
        url, headers = sent_path(full(path), query), dict(self.conversation.headers())
        with reaching(self.url):
            async with self._http.stream("GET", url, headers=headers, extensions=self._extensions) as answer:
                if answer.is_error:
                    await answer.aread()
                    self.conversation.judged(as_reply(answer), path)
                async for piece in answer.aiter_bytes():
                    for line in splitter.feed(piece):
                        for event in reader.feed(line):
                            yield event

    async def _run(self, exchange: Exchange[T]) -> T:
        try:
            request = next(exchange)
            while True:
                try:
                    reply = await self._round(request)
                except UnreachableError as lost:
                    request = exchange.throw(lost)
                else:
                    request = exchange.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _round(self, request: ClientRequest) -> ClientReply:
        if request.delay:
            await asyncio.sleep(request.delay)
        with reaching(self.url):
            return as_reply(await self._http.request(**as_arguments(request, self.conversation.headers(), self._extensions)))
