"""``/api/authentication``: logging in, logging out, the ways to log in (protocol, section 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from doorward.access.accounts import Account
from doorward.access.authentication import Authenticator, basic_credentials
from doorward.access.guard import Guard
from doorward.access.logins import Logins, LoginSession
from doorward.api import errors
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, meta
from doorward.events.events import Events

_MAX_WAITING = 64
"""Logins that may wait for their hash at a time; a hash takes tens of milliseconds."""

_AT_A_TIME = 2
"""Hashes that are computed at a time."""

_METHODS = {"local"}
_TYPES = {"basic", "x509"}


class Authentication(Resource):
    """Logging in with Basic credentials, seeing whether one is logged in, logging out."""

    operations = {
        "GET": Operation(
            "Log in with Basic credentials, or see that the login session lives.",
            answer_schema(),
            errors=(400,),
            query={
                "login_method": {"type": "string", "description": "Name of a login method."},
                "type": {"type": "string", "enum": sorted(_TYPES)},
            },
        ),
        "DELETE": Operation("Log out.", answer_schema()),
    }
    anonymous = frozenset({"GET", "HEAD"})
    for_every_token = frozenset({"GET", "HEAD", "DELETE"})

    def __init__(self, logins: Logins, authenticator: Authenticator, guard: Guard, events: Events) -> None:
        self._logins, self._authenticator, self._guard, self._events = logins, authenticator, guard, events
        logins.ended = self._ended
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="login")
        self._turn = asyncio.Semaphore(_AT_A_TIME)
        self._waiting = 0
        self.children = {"login_methods": LoginMethods()}

    async def get(self, request: Request) -> Response:
        """Log in, if the request brings credentials."""
        by_token = request.login is not None and request.login.grant is not None
        header = None if by_token else request.headers.get("authorization")
        by_certificate = request.query.get("type") == "x509"
        brings = header is not None or by_certificate
        if brings:
            self._refuse_blocked(request)
        self._check_query(request)
        if not brings:
            if request.login is None:
                raise errors.unauthenticated(request.href)
            return Response({"meta": meta(request)})
        account = None
        if not by_certificate:
            account = await self._check(request, header or "")
        if account is None or not self._authenticator.stands(account):
            request.login = None
            if not by_certificate and _presents_credentials(header or ""):
                self._failed(request)
            raise errors.authentication_failure()
        request.login, cookie = self._logins.open(account)
        self._events.raise_(
            "login", f"{account.name} logged in from {request.address}", request.href,
            user=account.name, address=request.address, request_id=request.id,
        )  # fmt: skip
        return Response({"meta": meta(request)}, cookie=cookie)

    async def proves(self, request: Request, name: str, password: str) -> bool:
        """Whether a password is that of an account, at whatever age; a wrong one counts as a failed login. Raises 429 and 503."""
        self._refuse_blocked(request)
        account = await self._in_turn(request, lambda: self._authenticator.check((name, password), expired_too=True))
        if account is None:
            self._failed(request)
        return account is not None

    def _failed(self, request: Request) -> None:
        """Count and report refused credentials. Where there were none, as in a link that anybody can plant, nothing failed."""
        self._guard.failed(request.address)
        text = f"A login from {request.address} was refused"
        self._events.raise_("login_failure", text, request.href, address=request.address, request_id=request.id)

    def _refuse_blocked(self, request: Request) -> None:
        if seconds := self._guard.blocked_for(request.address):
            raise errors.too_many_requests(seconds)

    async def _check(self, request: Request, header: str) -> Account | None:
        """Check the credentials of a header."""
        return await self._in_turn(request, lambda: self._authenticator.check(basic_credentials(header)))

    async def _in_turn(self, request: Request, check: Callable[[], Account | None]) -> Account | None:
        """Check credentials in threads of their own, so that a flood of logins leaves room for everything else."""
        if self._waiting >= _MAX_WAITING:
            raise errors.unavailable("Too many logins at once.")
        self._waiting += 1
        try:
            async with self._turn:
                self._refuse_blocked(request)  # again: those before it may have been guesses from the same address
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, check)
        finally:
            self._waiting -= 1

    def _check_query(self, request: Request) -> None:
        wrong = []
        method, kind = request.query.get("login_method"), request.query.get("type")
        if method is not None and method not in _METHODS:
            wrong.append(("enum", "There is no such login method.", "login_method"))
        if kind is not None and kind not in _TYPES:
            wrong.append(("enum", f"Must be {' or '.join(sorted(_TYPES))}.", "type"))
        if wrong:
            raise errors.invalid_query(wrong)

    def _ended(self, login: LoginSession, how: str) -> None:
        self._events.raise_("logout", f"{login.name} {how}", "/api/authentication", user=login.name)

    async def delete(self, request: Request) -> Response:
        """End the login session and drop its candidate."""
        async with request.turn() as login:
            if login.grant is not None:  # it ends with its transaction; the token goes on
                login.candidate = None
                return Response({"meta": meta(request)})
            self._logins.close(login, f"logged out from {request.address}")
        request.login = None
        return Response({"meta": meta(request)}, cookie="")


def _presents_credentials(header: str) -> bool:
    """Whether an ``Authorization`` field has anything behind its scheme."""
    return bool(header.strip().partition(" ")[2].strip())


_METHOD = {
    "type": "object",
    "properties": {
        "default": {"type": "boolean"},
        "description": {"type": "string"},
        "name": {"type": "string"},
        "types": {"type": "array", "items": {"enum": sorted(_TYPES)}},
    },
    "required": ["default", "description", "name", "types"],
}


class LoginMethods(Resource):
    """The ways to log in."""

    operations = {"GET": Operation("The ways to log in.", answer_schema(login_methods={"type": "array", "items": _METHOD}))}
    anonymous = frozenset({"GET", "HEAD"})

    async def get(self, request: Request) -> Response:
        """List the login methods."""
        local = {"default": True, "description": "Local accounts", "name": "local", "types": ["basic"]}
        return Response({"login_methods": [local], "meta": meta(request)})
