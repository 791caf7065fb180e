"""What a client says and how it takes the answers, without a connection: blocking and asynchronous clients carry it alike.

Each operation is a generator: it yields requests, is sent the replies, and returns its result. Where a reply gets lost, the
carrier throws UnreachableError into it.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from msgspec.structs import replace

from doorward.client.errors import (
    ApiRefusedError,
    LoginRefusedError,
    UnknownOutcomeError,
    UnreachableError,
    UnsendableError,
    refusal,
)
from doorward.client.messages import ApiAnswer, ClientReply, ClientRequest, Committed

ROOT = "/api/configuration/"
LOGIN = "/api/authentication"
TRANSACTION = "/api/transaction"
COMMITS = "/api/commits"
WAIT_SECONDS = 30
"""How long an answer may wait for the end of what a request began; less than a client waits for an answer."""
PATIENCE = 20.0
"""Seconds for which a lost answer to a commit is asked for again: longer than a server takes to start."""
_FIRST_DELAY = 0.25
_UNDER_WAY = frozenset({"queued", "validating", "applying", "verifying"})
_NONE: Mapping[str, str] = MappingProxyType({})
_IN_EFFECT = frozenset({"done", "awaiting_confirmation"})


T = TypeVar("T")
Exchange = Generator[ClientRequest, ClientReply, T]


def full(path: str) -> str:
    """Return the path of a resource; one that does not begin with ``/`` is below ``/api/configuration/``."""
    return path if path.startswith("/") else ROOT + path


def encoded(value: Any) -> bytes:
    """Return a value as JSON. Raises UnsendableError where it is none, or no text in UTF-8."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise UnsendableError("What was given is no text in UTF-8.") from None
    except (TypeError, ValueError) as why:
        raise UnsendableError(f"What was given can't be written as JSON: {why}.") from None


def if_match(etag: str) -> dict[str, str]:
    """Return the header that refuses a write where the resource is not the one that was read; none for an empty tag."""
    return {"If-Match": etag} if etag else {}


def sent_path(path: str, query: Mapping[str, str] | None = None) -> str:
    """Return a path as it goes over the wire."""
    try:
        whole = quote(path, safe="/?=&-._~")
        return f"{whole}?{urlencode(query)}" if query else whole
    except UnicodeEncodeError:
        raise UnsendableError("What was given is no text in UTF-8.") from None


class ApiConversation:
    """All that a client knows of its login session. ``warnings`` collects the warnings of all answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.warnings: list[Mapping[str, str]] = []
        self.token: str | None = None
        self.entered = False
        self._login: tuple[str, str] | None = None

    def headers(self) -> Mapping[str, str]:
        """Return what goes with each request: a token, if one stands for the login."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def log_in(self, user: str, password: str) -> Exchange[None]:
        """Log in. Raises LoginRefusedError."""
        credentials = base64.b64encode(f"{user}:{password}".encode(errors="surrogateescape")).decode()
        try:
            yield from self.ask(ClientRequest("GET", LOGIN, {"Authorization": f"Basic {credentials}"}))
        except ApiRefusedError as why:
            raise LoginRefusedError(
                why.status, {"type": why.type, "message": why.message, "details": why.details}, user
            ) from None
        self._login, self.entered = (user, password), True

    def log_in_again(self) -> Exchange[None]:
        """Log in as before, where the login session has ended. A token needs no login."""
        if self.token is None and self._login is not None:
            yield from self.log_in(*self._login)

    def change_password(self, new: str) -> Exchange[int]:
        """Give the account that logged in another password; return the revision that has it."""
        user, current = self._login or ("", "")
        order = {"current": current, "new": new}
        answer = yield from self.write("PUT", "/api/user/password", order, about="The new password")
        self._login = user, new
        return int(answer.meta["revision"])

    def read(self, path: str, query: Mapping[str, str] | None = None, *, wait: int = 0) -> Exchange[ApiAnswer]:
        """Read a resource; with ``wait`` the answer may wait that many seconds for the end of what goes on."""
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        return (yield from self.ask(ClientRequest("GET", sent_path(full(path), query), headers, about=full(path))))

    def write(
        self,
        method: str,
        path: str,
        value: Any = None,
        *,
        headers: Mapping[str, str] = _NONE,
        about: str = "",
        wait: int = 0,
    ) -> Exchange[ApiAnswer]:
        """Send POST, PUT or DELETE; strict: a member that the server does not know is an error.

        ``headers`` are more of them, ``about`` is what errors name.
        """
        strict = {"Prefer": f"handling=strict, wait={wait}" if wait else "handling=strict"}
        content = None if value is None and method != "PUT" else encoded(value)
        request = ClientRequest(method, sent_path(full(path)), strict | dict(headers), content, about or full(path))
        return (yield from self.ask(request))

    def open(self) -> Exchange[None]:
        """Open the transaction: what is read from now on stays as it is until the commit."""
        yield from self.ask(ClientRequest("POST", TRANSACTION, content=b""))

    def discard(self) -> Exchange[None]:
        """Close the transaction and forget its changes."""
        yield from self.ask(ClientRequest("DELETE", TRANSACTION))

    def changes(self) -> Exchange[list[dict[str, Any]]]:
        """Return what the transaction changes."""
        found: list[dict[str, Any]] = (yield from self.read(f"{TRANSACTION}/changes")).content["changes"]
        return found

    def commit(
        self, message: str | None, confirm_seconds: int | None, patience: float, *, emergency: bool = False
    ) -> Exchange[Committed]:
        """Commit the transaction, once, whatever becomes of the answer; see ``settled``. ``emergency``: without approval."""
        order = {"status": "commit"} | ({"emergency": True} if emergency else {})
        return (yield from self.settled("PUT", TRANSACTION, order, message, confirm_seconds, patience))

    def commit_changes(
        self, changes: Sequence[Mapping[str, Any]], message: str | None, confirm_seconds: int | None, patience: float
    ) -> Exchange[Committed]:
        """Stage and commit changes in one request, all or none; see ``settled``."""
        return (yield from self.settled("POST", COMMITS, {"changes": list(changes)}, message, confirm_seconds, patience))

    def confirm(self) -> Exchange[None]:
        """Keep what runs and awaits its confirmation."""
        yield from self.write("PUT", TRANSACTION, {"status": "confirm"})

    def settled(
        self,
        method: str,
        path: str,
        order: Mapping[str, Any],
        message: str | None,
        confirm_seconds: int | None,
        patience: float,
    ) -> Exchange[Committed]:
        """Send what commits, and return what came of it.

        Where the answer gets lost it is asked for again for ``patience`` seconds: by the same request, which the server carries
        out only once, or by the record of the commit where the server has started anew. Raises UnknownOutcomeError where nobody
        tells, UnreachableError where nothing was committed, ApiRefusedError.
        """
        key = str(uuid.uuid4())
        body = {**order, **({"commit_message": message} if message else {})}
        body |= {} if confirm_seconds is None else {"confirm_seconds": confirm_seconds}
        request = ClientRequest(method, path, {"Idempotency-Key": key, "Prefer": "handling=strict"}, encoded(body), path)
        try:
            return _committed((yield from self.ask(request)), key)
        except UnreachableError as first:
            why = str(first)
        for delay in _delays(patience):
            try:
                return _committed((yield from self.ask(replace(request, delay=delay))), key)
            except UnreachableError:
                continue
            except ApiRefusedError as refused:
                if refused.comes_later:
                    continue
                if not refused.login_ended:
                    raise
            return (yield from self._recorded(key, patience))
        raise UnknownOutcomeError(key, why)

    def _recorded(self, key: str, patience: float) -> Exchange[Committed]:
        """Return what the record of a commit says, after the login session ended with a start of the server."""
        for delay in _delays(patience):
            try:
                yield from self.log_in_again()
                record = (yield from self.ask(ClientRequest("GET", f"{COMMITS}/{key}", delay=delay))).content["body"]
            except UnreachableError:
                continue
            except ApiRefusedError as refused:
                if refused.comes_later:
                    continue
                if refused.type == "NotFound":
                    raise UnreachableError("The server ended before it got the commit; nothing was committed.") from None
                raise
            if record["state"] in _UNDER_WAY:
                continue
            if record["state"] in _IN_EFFECT and record["revision"] is not None:
                return Committed(record["revision"], key)
            if record["state"] == "proposed":
                return Committed(None, key, proposal=f"/api/proposals/{record['id']}")
            if record["error"]:
                raise refusal(400, record["error"], f"{COMMITS}/{key}")
            raise UnknownOutcomeError(key, f"its record says {record['state']}")
        raise UnknownOutcomeError(key, "the server did not tell in time")

    def ask(self, request: ClientRequest) -> Exchange[ApiAnswer]:
        """Send one request and judge its reply. Raises ApiRefusedError, and UnreachableError where Doorward does not answer."""
        reply = yield request
        if reply.status in range(300, 400):  # no body: look elsewhere for what became of it
            return ApiAnswer({"meta": {}})
        content = self.judged(reply, request.about or request.path)
        found = ApiAnswer(content, reply.headers.get("etag", ""))
        self.warnings += found.meta.get("warnings", [])
        return found

    def judged(self, reply: ClientReply, about: str) -> dict[str, Any]:
        """Return the JSON of a reply that is no error. Raises ApiRefusedError, UnreachableError."""
        try:
            content = json.loads(reply.content)
            if not isinstance(content, dict) or not isinstance(content.get("meta"), dict):
                raise TypeError
            failed = content["error"] if reply.status >= 400 else None  # noqa: PLR2004 - HTTP's number
        except (ValueError, TypeError, KeyError):
            raise UnreachableError(f"What answers at {self.url} is not Doorward.") from None
        if failed is not None:
            raise refusal(reply.status, failed, about)
        return content


def _committed(answer: ApiAnswer, key: str) -> Committed:
    results = answer.content.get("results", ())
    meta = answer.meta
    return Committed(meta.get("revision"), key, tuple(results), meta.get("proposal", ""), tuple(meta.get("waits_for", ())))


def _delays(patience: float) -> Iterator[float]:
    """Yield ever longer waits that come to ``patience`` seconds in all; the first is none."""
    yield 0.0
    spent, delay = 0.0, _FIRST_DELAY
    while spent < patience:
        yield min(delay, patience - spent)
        spent, delay = spent + delay, delay * 2
