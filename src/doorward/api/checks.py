"""The checks of a request in the order of the contract (protocol, section 9.1), from its framing to its media type."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import partial

from doorward.access.logins import Logins
from doorward.access.tokens import Tokens
from doorward.api import errors
from doorward.api.cookies import cookie_value
from doorward.api.request import ANONYMOUS_LIMIT, BATCH_LIMIT, BODY_LIMIT, UPLOAD_LIMIT, Request, path_segments
from doorward.api.resources import READING, Resource

_BODIES = frozenset({"POST", "PUT"})
_ALWAYS = frozenset({"/", "/api/setup"})
"""What is answered also while the server starts, awaits its first settings, or stops."""
_FOR_USERS = frozenset({"authentication", "health_status", "info", "user"})
"""What below ``/api`` is open to those who come by a listener for users, with all that is below it; nothing else is."""

BACKGROUND = "x-background"
"""The header field of requests that nobody asked for, such as those of a page that renews itself: they extend no session."""


class RequestChecks:
    """Judges requests. ``aliases`` are second spellings of paths, with the first one of each. ``tokens`` stand for logins."""

    def __init__(self, root: Resource, logins: Logins, aliases: Mapping[str, str], tokens: Tokens | None) -> None:
        self._root, self._logins, self._tokens = root, logins, tokens
        self._aliases = {tuple(other[1:].split("/")): tuple(path[1:].split("/")) for other, path in aliases.items()}

    def admit(self, request: Request, state: str) -> Resource:
        """Make the checks up to the media type and return the resource. ``state``: that of the server. Raises ApiError."""
        segments = path_segments(request.scope["raw_path"])
        if segments is None:
            raise errors.bad_request("The path can't be decoded.")
        request.segments = self._aliases.get(segments, segments)
        self._check_framing(request)
        if request.scope.get("for_users") and not (request.segments[:1] == ("api",) and _FOR_USERS & {*request.segments[1:2]}):
            raise errors.closed(request.href)
        if state != "serving" and request.href not in _ALWAYS:
            raise errors.unavailable(f"The server is {state}.")
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
        self.look_for_login(request)
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

    def look_for_login(self, request: Request) -> None:
        """Find the login session of a request, and extend it if the request does."""
        fixed = self._fixed(request)
        extends = (fixed is None or fixed.extends) and BACKGROUND not in request.headers
        if (bearer := request.bearer) is not None:
            grant = self._tokens.find(bearer, request.address) if self._tokens is not None else None
            if grant is not None:
                request.login = self._logins.by_token(grant, extend=extends)
            return
        request.cookie = cookie_value(request.headers.get("cookie", ""))
        if request.cookie:
            request.extended = extends
            request.login = self._logins.find(request.cookie, extend=request.extended)

    def _fixed(self, request: Request) -> Resource | None:
        """Return the resource at the path if it is there for everybody, whatever the configuration holds."""
        if not request.segments and request.scope["raw_path"].strip(b"/"):
            return None  # the path can't be decoded
        resource: Resource | None = self._root
        for segment in request.segments:
            resource = resource.children.get(segment) if resource else None
        return resource

    def _find(self, request: Request) -> Resource:
        """Walk down the path."""
        resource = self._root
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
        if not self._logins.check(request.login):
            request.login = None
            raise errors.unauthenticated(request.href)
        self._check_rights(request, resource)


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
