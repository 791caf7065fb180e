"""The client for code that blocks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, Any, Self, TypeVar

import httpx2

from doorward.client.carrier import PIECE, ApiClient, as_arguments, as_reply, reaching
from doorward.client.errors import ClientError, UnreachableError
from doorward.client.exchanges import LOGIN, WAIT_SECONDS, Exchange, full, if_match, sent_path
from doorward.client.messages import ApiAnswer, ClientReply, ClientRequest, Committed
from doorward.client.streams import EventReader, LineSplitter
from doorward.client.transaction import OpenTransaction

T = TypeVar("T")


class Client(ApiClient[httpx2.Client]):
    """One login session. Writes are strict: a member that the server does not know is an error.

    ``context`` says what the server is checked with (`doorward.client.trust`), ``server_name`` what its certificate has to be
    for, if not the host of the address; ``seconds`` is how long an answer is waited for, ``patience`` how long a lost answer to a
    commit is asked for again. Paths that do not begin with ``/`` are below ``/api/configuration/``. Everything raises
    ApiRefusedError where the API refuses, UnreachableError where there is none, UntrustedError where another one answers.
    """

    _kind = httpx2.Client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Log out, which discards an open transaction, and close the connection."""
        try:
            if self.conversation.token is not None or self._http.cookies:  # what was left open would go on for the next one
                self._round(ClientRequest("DELETE", LOGIN))
        except ClientError:
            pass  # the login session ends by itself
        self._http.close()

    def login(self, user: str, password: str) -> None:
        """Log in. Raises LoginRefusedError."""
        self._http.cookies.clear()
        self._run(self.conversation.log_in(user, password))

    def login_again(self) -> None:
        """Log in as before, where the login session has ended. A token needs no login."""
        self._http.cookies.clear()
        self._run(self.conversation.log_in_again())

    def change_password(self, new: str) -> int:
        """Give the account that logged in another password; return the revision that has it."""
        return self._run(self.conversation.change_password(new))

    def get(self, path: str, query: Mapping[str, str] | None = None) -> ApiAnswer:
        """Read a resource."""
        return self._run(self.conversation.read(path, query))

    def body(self, path: str) -> Any:
        """Read the ``body`` of a resource."""
        return self.get(path).content["body"]

    def poll(self, path: str) -> Any:
        """Read the ``body`` of work that goes on; the answer waits until it is over, or a while."""
        return self._run(self.conversation.read(path, wait=WAIT_SECONDS)).content["body"]

    def write(self, method: str, path: str, value: Any = None, *, match: str = "", about: str = "") -> ApiAnswer:
        """Send POST, PUT or DELETE. ``match`` is an entity tag for If-Match, ``about`` what errors name."""
        return self._run(self.conversation.write(method, path, value, headers=if_match(match), about=about))

    def begin(self, path: str, value: Any) -> ApiAnswer:
        """POST what takes a while; the answer waits for its end, or a while."""
        return self._run(self.conversation.write("POST", path, value, wait=WAIT_SECONDS))

    def set_up(self, path: str, value: Any, code: str | None) -> None:
        """POST the first settings of a node, with its one-time code."""
        self._run(
            self.conversation.write(
                "POST", path, value, headers={"X-Setup-Code": code} if code else {}, about="The first settings"
            )
        )

    def open(self) -> None:
        """Open the transaction: what is read from now on stays as it is until the commit."""
        self._run(self.conversation.open())

    def discard(self) -> None:
        """Close the transaction and forget its changes."""
        self._run(self.conversation.discard())

    def changes(self) -> list[dict[str, Any]]:
        """Return what the transaction changes."""
        return self._run(self.conversation.changes())

    def commit(self, message: str | None = None, confirm_seconds: int | None = None, *, emergency: bool = False) -> Committed:
        """Commit the transaction; carried out once, whatever becomes of the answer. Raises UnknownOutcomeError as well.

        ``emergency``: without the approval that it would wait for, as a member of the group for emergencies.
        """
        return self._run(self.conversation.commit(message, confirm_seconds, self.patience, emergency=emergency))

    def commit_changes(
        self, changes: Sequence[Mapping[str, Any]], message: str | None = None, confirm_seconds: int | None = None
    ) -> Committed:
        """Stage and commit changes in one request, all or none; an open transaction has no part in it.

        A change is ``{"method", "path", "body", "if_match"?, "id"?}``. Raises UnknownOutcomeError as well.
        """
        return self._run(self.conversation.commit_changes(changes, message, confirm_seconds, self.patience))

    def confirm(self) -> None:
        """Keep what runs and awaits its confirmation."""
        self._run(self.conversation.confirm())

    @contextmanager
    def transaction(self, message: str | None = None, *, confirm_seconds: int | None = None) -> Iterator[OpenTransaction]:
        """Open a transaction for a block, and commit what it changed; what raises discards everything."""
        self.open()
        made = OpenTransaction(self._run, self.conversation)
        try:
            yield made
            if self.changes():
                made.committed = self.commit(message, confirm_seconds)
            else:
                self.discard()
        except BaseException:
            with suppress(ClientError):
                self.discard()
            raise

    def upload(self, path: str, file: IO[bytes]) -> ApiAnswer:
        """Send the bytes of a file."""
        headers = {"Content-Type": "application/octet-stream", **self.conversation.headers()}
        content = iter(partial(file.read, PIECE), b"")
        with reaching(self.url):
            answer = self._http.post(sent_path(path), headers=headers, content=content, extensions=self._extensions)
        return ApiAnswer(self.conversation.judged(as_reply(answer), path))

    def download(self, path: str, into: IO[bytes]) -> None:
        """Write the bytes of a resource into a file. Raises UnreachableError also where they end too early."""
        for piece in self._pieces(path, None, PIECE):
            into.write(piece)

    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[str]:
        """Yield lines of text as they come. Raises UnreachableError also where they break off."""
        splitter = LineSplitter()
        for piece in self._pieces(path, query, None):
            yield from splitter.feed(piece)

    def events(self, path: str, query: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield server-sent events as they come: name and data. Raises UnreachableError also where they break off."""
        reader = EventReader()
        for line in self.lines(path, query):
            yield from reader.feed(line)

    def _pieces(self, path: str, query: Mapping[str, str] | None, size: int | None) -> Iterator[bytes]:
        url, headers = sent_path(full(path), query), dict(self.conversation.headers())
        with reaching(self.url), self._http.stream("GET", url, headers=headers, extensions=self._extensions) as answer:
            if answer.is_error:
                answer.read()
                self.conversation.judged(as_reply(answer), path)
            yield from answer.iter_bytes(size)

    def _run(self, exchange: Exchange[T]) -> T:
        try:
            request = next(exchange)
            while True:
                try:
                    reply = self._round(request)
                except UnreachableError as lost:
                    request = exchange.throw(lost)
                else:
                    request = exchange.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    def _round(self, request: ClientRequest) -> ClientReply:
        if request.delay:
            time.sleep(request.delay)
        with reaching(self.url):
            return as_reply(self._http.request(**as_arguments(request, self.conversation.headers(), self._extensions)))
