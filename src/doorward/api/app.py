"""The ASGI application: takes a request through the checks in the order of the contract (protocol, section 9.1).

HTTP syntax, length, size, expectation - starting or stopping - login block - login - path - method - X-Token - right -
media type; what follows (query, If-Match, body, meaning, state) is the resource's own.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import IO, Any

import structlog

from doorward.access.logins import Logins
from doorward.access.tokens import Tokens
from doorward.api import errors, streaming
from doorward.api.cookies import cookie_value, removed, renewed
from doorward.api.domain_errors import response_to
from doorward.api.errors import ApiError
from doorward.api.fast_response import FastResponses, PlainRequest
from doorward.api.request import (
    ANONYMOUS_LIMIT,
    BATCH_LIMIT,
    BODY_LIMIT,
    UPLOAD_LIMIT,
    DisconnectedError,
    LocalFile,
    OpenFile,
    Request,
    Response,
    StreamedBody,
    path_segments,
)
from doorward.api.resources import READING, Deferred, Resource, meta
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
_ALWAYS = frozenset({"/", "/api/setup"})
"""What is answered also while the server starts, awaits its first settings, or stops."""
_FOR_USERS = frozenset({"authentication", "health_status", "info", "user"})
"""What below ``/api`` is open to those who come by a listener for users, with all that is below it; nothing else is."""

BACKGROUND = "x-background"
"""The header field of requests that nobody asked for, such as those of a page that renews itself: they extend no session."""


class Application:
    """The API below ``/``.

    ``state`` is "starting", "awaiting its first settings", "serving" or "stopping"; only ``serving`` answers everything.

    ``aliases`` are second spellings of paths, with the first one of each. ``tokens`` stand for logins.
    """

    def __init__(self, root: Resource, logins: Logins, aliases: Mapping[str, str], tokens: Tokens | None = None) -> None:
        self.root, self.logins, self._tokens = root, logins, tokens
        self._aliases = {tuple(other[1:].split("/")): tuple(path[1:].split("/")) for other, path in aliases.items()}
        self.state = "starting"
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
            resource = self._admit(request)
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

    # The checks

    def _admit(self, request: Request) -> Resource:
        """Make the checks up to the media type and return the resource."""
        segments = path_segments(request.scope["raw_path"])
        if segments is None:
            raise errors.bad_request("The path can't be decoded.")
        request.segments = self._aliases.get(segments, segments)
        self._check_framing(request)
        if request.scope.get("for_users") and not (request.segments[:1] == ("api",) and _FOR_USERS & {*request.segments[1:2]}):
            raise errors.closed(request.href)
        if self.state != "serving" and request.href not in _ALWAYS:
            raise errors.unavailable(f"The server is {self.state}.")
        self._find_login(request)
        resource = self._find(request)
        request.allow = resource.allow()
        if request.method not in request.allow:
            raise errors.method_not_allowed(request.method, request.href)
        self._check_rights(request, resource)
        request.check_again = partial(self._check_again, request, resource)
        request.is_allowed = partial(_is_allowed, request, resource)
        if request.method in _BODIES and resource.media_types:
            request.check_media_type(resource.media_types)
        return resource

    def _check_framing(self, request: Request) -> None:
        headers = request.headers
        length = headers.get("content-length")
        if request.method in _BODIES and length is None and "chunked" not in headers.get("transfer-encoding", "").lower():
            raise errors.length_required()
        limit = _limit(request)
        if length is not None and (not length.isdecimal() or int(length) > limit):
            raise errors.too_large(limit) if length.isdecimal() else errors.bad_request()
        if headers.get("expect", "100-continue").lower() != "100-continue":
            raise errors.expectation_failed()

    def _find_login(self, request: Request) -> None:
        """Find the login session, and refuse whoever needs one and has none."""
        self._look_for_login(request)
        fixed = self._fixed(request)
        method = "GET" if request.method == "OPTIONS" else request.method
        if request.login is not None:
            return
        if request.bearer is not None:  # also where nobody has to log in: whoever sends one wants to know
            raise errors.unauthenticated(request.href)
        if fixed is None or not (fixed.is_public or method in fixed.anonymous):
            raise errors.unauthenticated(request.href)
        if int(request.headers.get("content-length", "0")) > ANONYMOUS_LIMIT:
            raise errors.too_large(ANONYMOUS_LIMIT)

    def _look_for_login(self, request: Request) -> None:
        fixed = self._fixed(request)
        extends = (fixed is None or fixed.extends) and BACKGROUND not in request.headers
        if (bearer := request.bearer) is not None:
            grant = self._tokens.find(bearer, request.address) if self._tokens is not None else None
            if grant is not None:
                request.login = self.logins.by_token(grant, extend=extends)
            return
        request.cookie = cookie_value(request.headers.get("cookie", ""))
        if request.cookie:
            request.extended = extends
            request.login = self.logins.find(request.cookie, extend=request.extended)

    def _fixed(self, request: Request) -> Resource | None:
        """Return the resource at the path if it is there for everybody, whatever the configuration holds."""
        if not request.segments and request.scope["raw_path"].strip(b"/"):
            return None  # the path can't be decoded
        resource: Resource | None = self.root
        for segment in request.segments:
            resource = resource.children.get(segment) if resource else None
        return resource

    def _find(self, request: Request) -> Resource:
        """Walk down the path."""
        resource = self.root
        for segment in request.segments:
            below = resource.child(segment, request)
            if below is None:
                raise errors.not_found(request.href, segment)
            resource = below
        return resource

    def _check_rights(self, request: Request, resource: Resource) -> None:
        if request.method in resource.anonymous or request.method == "OPTIONS" or request.login is None:
            return
        writing = request.method not in READING
        if request.login.grant is not None:
            if request.method in resource.personal:
                raise errors.takes_a_person(request.href)
            if not _token_reaches(request, resource):
                raise errors.token_insufficient(request.href)
        elif writing and "Mozilla" in request.headers.get("user-agent", ""):
            sent = request.headers.get("x-token", "")
            if not _equal(sent, request.login.token):
                raise errors.token_missing(request.href)
        if not _is_allowed(request, resource):
            enough = request.method not in resource.reserved
            raise errors.unauthorized(request.href, write=writing) if enough else errors.reserved(request.href)

    def _check_again(self, request: Request, resource: Resource) -> None:
        """Judge a request anew by the login session and the rights of now."""
        if request.method in resource.anonymous or request.login is None:
            return
        if not self.logins.check(request.login):
            request.login = None
            raise errors.unauthenticated(request.href)
        self._check_rights(request, resource)

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
            self._look_for_login(request)
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
            if request.method != "HEAD" and not await streaming.send_pieces(request, answer.content, send, lambda: self.state):
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


def _token_reaches(request: Request, resource: Resource) -> bool:
    """Whether the token of a request, if it comes by one, is for such requests, whatever its account may do."""
    login = request.login
    if login is None or login.grant is None:
        return True
    if login.grant.reads_only and request.method not in READING:
        return False
    return request.method in resource.for_every_token or login.rights.reaches(request.href)


def _is_allowed(request: Request, resource: Resource) -> bool:
    if not _token_reaches(request, resource):
        return False
    return resource.may_read(request) if request.method in READING else resource.may_write(request)


def _limit(request: Request) -> int:
    if request.segments == ("api", "commits"):
        return BATCH_LIMIT
    return UPLOAD_LIMIT if request.segments[:2] == ("api", "upload") else BODY_LIMIT


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())
