"""The ASGI application: takes a request through the checks in the order of the contract (protocol, section 9.1).

HTTP syntax, length, size, expectation - starting or stopping - login block - login - path - method - X-Token - right -
media type; what follows (query, If-Match, body, meaning, state) is the resource's own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import IO, Any

import structlog

from doorward.access.logins import Logins
from doorward.access.tokens import Tokens
from doorward.api import errors, streaming
from doorward.api.checks import RequestChecks
from doorward.api.cookies import removed, renewed
from doorward.api.domain_errors import response_to
from doorward.api.errors import ApiError
from doorward.api.fast_response import FastResponses, PlainRequest
from doorward.api.request import (
    DisconnectedError,
    LocalFile,
    OpenFile,
    Request,
    Response,
    StreamedBody,
)
from doorward.api.resources import Deferred, Resource, meta
from doorward.events.verbosity import VERBOSITY
from doorward.listening.http.fields import standing_fields
from doorward.store.database import is_full
from doorward.tracing import span
from doorward.tree.jsontext import encode

log = structlog.get_logger()

REQUEST_SECONDS = 60.0
_PIECE = 1 << 18
"""Bytes of a file that are sent at a time."""

_METHODS = {"GET": "get", "HEAD": "get", "POST": "post", "PUT": "put", "DELETE": "delete"}
_BEFORE_LOGIN = frozenset({400, 403, 411, 413, 417, 503})
"""Refusals that may come before the login is looked for; such a request extends a live one all the same."""
_BODIES = frozenset({"POST", "PUT"})


class Application:
    """The API below ``/``.

    ``state`` is "starting", "awaiting its first settings", "serving" or "stopping"; only ``serving`` answers everything.

    ``aliases`` are second spellings of paths, with the first one of each. ``tokens`` stand for logins.
    """

    def __init__(self, root: Resource, logins: Logins, aliases: Mapping[str, str], tokens: Tokens | None = None) -> None:
        self.root, self.logins = root, logins
        self._checks = RequestChecks(root, logins, aliases, tokens)
        self.state = "starting"
        self._stopping = streaming.Stopping(lambda: self.state)
        self.hot: FastResponses | None = None
        self.counted: Any = None
        """Called with (method, status) of every answer."""
        self.deferred: dict[bytes, Deferred] = {}
        """What is made when somebody asks for something below its path: in a thread, for it takes a moment."""

    def plain(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> PlainRequest | None:
        """Return what a GET asks for if it may be answered at once; None: the request takes the way of ``__call__``."""
        return self.hot.plain(target, headers) if self.hot is not None else None

    def fast_response(self, plain: PlainRequest) -> bytes | None:
        """Return the whole response to a GET where one is at hand; None: the request takes the way of ``__call__``."""
        if self.hot is None or self.state != "serving" or VERBOSITY.shows_everything:  # this way logs nothing
            return None
        return self.hot.answer(plain)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        request = Request(scope["method"], (), scope, receive, os.urandom(16).hex())
        with span(request.method, http__request__method=request.method, doorward__request_id=request.id) as traced:
            answer = await self._answer(request)
            traced.set("url.path", request.href)
            if answer is not None:
                traced.set("http.response.status_code", answer.status)
                if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    traced.fail(str(answer.status))
        if answer is not None:
            await self._send(request, answer, send)

    async def _answer(self, request: Request) -> Response | None:
        """Return what a request is answered with; None: its client has gone."""
        try:
            await self._make(request.scope["raw_path"])
            resource = self._checks.admit(request, self.state)
            async with asyncio.timeout(resource.seconds or REQUEST_SECONDS):
                return await self._carry_out(resource, request)
        except DisconnectedError:
            return None
        except Exception as error:
            refusal = response_to(error, request.id)
            if refusal is None:
                log.exception("internal error", request_id=request.id, method=request.method, path=request.href)
                refusal = errors.internal(request.id)
            elif is_full(error):
                log.error("no space left", request_id=request.id, method=request.method, path=request.href)
            return self._refused(request, refusal)

    async def _make(self, path: bytes) -> None:
        for prefix in [prefix for prefix in self.deferred if path.startswith(prefix)]:
            await asyncio.to_thread(self.deferred[prefix].make)
            self.deferred.pop(prefix, None)

    async def _carry_out(self, resource: Resource, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response({"meta": meta(request)})
        answer: Response = await getattr(resource, _METHODS[request.method])(request)
        if isinstance(answer.content, LocalFile) and not request.is_allowed():  # fetching it may have taken minutes
            answer.content.discard()
            raise errors.cancelled(request.href)
        return answer

    # The answer

    def _refused(self, request: Request, refusal: ApiError) -> Response:
        headers = dict(refusal.headers)
        if refusal.status == 401:  # noqa: PLR2004 - HTTP's number
            headers["WWW-Authenticate"] = _challenge(request)
        if refusal.type == "InvalidRequestBody" and request.strict:
            headers["Preference-Applied"] = "handling=strict"
        if request.login is None and refusal.status in _BEFORE_LOGIN:
            self._checks.look_for_login(request)
        error = {"details": refusal.details, "message": refusal.message, "type": refusal.type}
        if refusal.status >= 500 or refusal.status == 401:  # noqa: PLR2004 - HTTP's numbers
            log.warning(
                "request refused", request_id=request.id, method=request.method, path=request.href, status=refusal.status,
                type=refusal.type, address=request.address,
            )  # fmt: skip
        return Response({"error": error, "meta": meta(request)}, refusal.status, headers)

    async def _send(self, request: Request, answer: Response, send: Any) -> None:
        login = request.login
        body = b""
        if isinstance(answer.content, StreamedBody):
            await self._send_head(request, answer, None, send)
            if request.method != "HEAD" and not await streaming.send_pieces(request, answer.content, send, self._stopping):
                return
        elif isinstance(answer.content, OpenFile):
            await self._send_head(request, answer, answer.content.size, send)
            if not await streaming.send_file(request, answer.content, send):
                return
        elif isinstance(answer.content, LocalFile):
            with _opened(answer.content) as file:
                await self._send_head(request, answer, os.fstat(file.fileno()).st_size, send)
                while piece := await asyncio.to_thread(file.read, _PIECE):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        elif isinstance(answer.content, bytes):
            body = answer.content
            await self._send_head(request, answer, len(body), send)
        else:
            if login is not None:
                answer.content["meta"].setdefault("remaining_seconds", self.logins.remaining(login))
            body = encode(answer.content)
            await self._send_head(request, answer, len(body), send)
        await send({"type": "http.response.body", "body": body})
        if self.counted:
            self.counted(request.method, answer.status)
        changing = request.method in _BODIES or request.method == "DELETE"
        (log.info if changing else log.debug)(
            "request", request_id=request.id, method=request.method, path=request.href, status=answer.status,
            user=login.name if login else None, address=request.address,
            **({"token": login.grant.token.id} if login and login.grant else {}),
        )  # fmt: skip

    async def _send_head(self, request: Request, answer: Response, length: int | None, send: Any) -> None:
        now = int(time.time())
        allow = () if answer.status in {401, 404, 413, 429} else request.allow  # what the order of checks puts before the path
        headers = head(answer, allow, length, request.id, now)
        cookie = self._cookie(request, answer, now)
        if cookie is not None:
            headers.append((b"set-cookie", cookie))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})

    def _cookie(self, request: Request, answer: Response, now: int) -> bytes | None:
        if answer.cookie == "" and request.bearer is None:
            return removed()
        login = request.login
        if login is None or login.ended or login.grant is not None or not (request.extended or answer.cookie):
            return None
        return renewed(answer.cookie or request.cookie, self.logins.remaining(login), now)


class ForUsers:
    """The application by way of a listener that is only for users. It has no short way: that leads to the configuration."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one HTTP request."""
        await self._app({**scope, "for_users": True}, receive, send)


def head(
    answer: Response, allow: tuple[str, ...], length: int | None, request_id: str, now: int
) -> list[tuple[bytes, bytes]]:  # fmt: skip
    """Return the header fields that every answer carries, and the answer's own; one without ``length`` is a stream."""
    fields = standing_fields(request_id, now)
    if length is not None and answer.status != 304:  # noqa: PLR2004 - the length there would be that of the answer 200 (RFC 9110, section 8.6)
        fields.append((b"content-length", str(length).encode()))
    if "Content-Type" not in answer.headers:
        fields.append((b"content-type", b"application/json"))
    if allow:
        fields.append((b"allow", ", ".join(allow).encode()))
    fields.extend((name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items())
    return fields


@contextmanager
def _opened(local: LocalFile) -> Iterator[IO[bytes]]:
    """A file for the time of a block."""
    try:
        with local.path.open("rb") as file:
            yield file
    finally:
        local.discard()


def _challenge(request: Request) -> str:
    """Return how to log in, in the words of what was tried (RFC 6750, section 3)."""
    if request.bearer is not None:
        return 'Bearer realm="Doorward", error="invalid_token"'
    return "Session" if "x-requested-with" in request.headers else 'Basic realm="Doorward"'
