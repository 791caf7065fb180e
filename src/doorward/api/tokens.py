"""``/api/user/tokens`` and ``/api/tokens``: the tokens of the caller, and those of everybody (trust, section 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter
from pydantic_core import PydanticCustomError

from doorward.access.tokens import Token, TokenRequest, Tokens, TooManyTokensError
from doorward.api import errors
from doorward.api.backup.answers import items, made
from doorward.api.bodies import sent
from doorward.api.request import Request, Response, path_segments
from doorward.api.resources import TIME, Operation, Resource, answer_schema, envelope, items_of, meta
from doorward.configuration.aaa.local_database import users
from doorward.tree.fields import any_network, same_network, text
from doorward.tree.models import Body, Elements

_TEXT = {"type": "string"}
_ABOUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "created": TIME,
        "expires": TIME,
        "last_used": {"anyOf": [TIME, {"type": "null"}], "description": "Exact to a minute where the node was killed since."},
        "name": _TEXT,
        "networks": {"type": "array", "items": _TEXT},
        "paths": {"type": "array", "items": _TEXT},
        "rights": {"enum": ["own", "read"]},
        "user": _TEXT,
    },
    "required": ["created", "expires", "last_used", "name", "networks", "paths", "rights", "user"],
}
_MADE = {
    **_ABOUT,
    "properties": {**_ABOUT["properties"], "token": {**_TEXT, "description": "The token itself, shown this once."}},
}
_ONE = answer_schema(body=_ABOUT, key=_TEXT)


def api_path(value: str) -> str:
    """Return a path below ``/api`` in its canonical spelling."""
    segments = path_segments(value.encode())
    if not value.startswith("/") or segments is None or segments[:1] != ("api",) or {".", ".."} & {*segments}:
        raise PydanticCustomError("format", "Must be a path of the API, such as /api/configuration/datetime.")
    return "/" + "/".join(segment.replace("/", "%2F") for segment in segments)


def _network(value: str) -> str:
    return same_network(any_network(value))


_Name = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(text)]
_Path = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(api_path)]
_Network = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_network)]


class NewToken(Body):
    """What a token is to be like."""

    name: _Name = Field(description="What it is for, 1-128 characters.")
    expires_days: int = Field(ge=1, le=366, description="Days until it ends.")
    rights: Literal["read", "own"] = Field(description="read: changes nothing. own: whatever its account may do.")
    paths: Annotated[list[_Path], Elements(most=64, unique=str)] = Field(
        [], description="Subtrees of the API that it is limited to; none: no limit. Commits are judged by what they change."
    )
    networks: Annotated[list[_Network], Elements(most=64, unique=str)] = Field(
        [], description="Networks or addresses that it may come from; none: any."
    )


_NEW: TypeAdapter[NewToken] = TypeAdapter(NewToken)


def shown(token: Token) -> dict[str, Any]:
    """Return a token as it is shown: never what it is recognised by."""
    return {
        "created": token.created,
        "expires": token.expires,
        "last_used": token.used,
        "name": token.name,
        "networks": list(token.networks),
        "paths": list(token.paths),
        "rights": token.rights,
        "user": token.user,
    }


class _TokenCollection(Resource):
    """Tokens that the caller may see."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def _seen(self, _request: Request) -> list[Token]:
        return self._tokens.all()

    def child(self, segment: str, request: Request) -> Resource | None:
        """Return one token."""
        found = next((token for token in self._seen(request) if token.id == segment), None)
        return OneToken(self._tokens, found, self) if found is not None else None

    def template(self) -> tuple[str, Resource]:
        """Return what a token is like."""
        return "id", OneToken(self._tokens, _ANY, self)


class OwnTokens(_TokenCollection):
    """The tokens of the caller's account."""

    listed = False

    operations = {
        "GET": Operation("The tokens of the account, newest first.", answer_schema(items=items_of(_ABOUT))),
        "POST": Operation(
            "Make a token; it is shown this once.",
            answer_schema(body=_MADE, key=_TEXT),
            body=_NEW,
            body_name="NewToken",
            status=201,
            errors=(400, 403, 409),
        ),
    }
    personal = frozenset({"GET", "HEAD", "POST", "DELETE"})

    def __init__(self, tokens: Tokens, aliases: Callable[[], Iterable[tuple[str, str]]]) -> None:
        super().__init__(tokens)
        self._aliases = aliases

    def _seen(self, request: Request) -> list[Token]:
        login = request.login
        return [token for token in self._tokens.all() if login is not None and token.account == login.account]

    async def get(self, request: Request) -> Response:
        """List them."""
        return items(request, [(token.id, shown(token)) for token in self._seen(request)])

    async def post(self, request: Request) -> Response:
        """Make one."""
        order, warnings = await sent(request, _NEW)
        aliases = dict(self._aliases())
        paths = tuple(dict.fromkeys(aliases.get(path, path) for path in order.paths))
        wanted = TokenRequest(order.name, order.expires_days, order.rights, paths, tuple(order.networks))
        async with request.turn() as login:
            try:
                token, secret = await asyncio.to_thread(self._tokens.make, login.proven, wanted)
            except TooManyTokensError:
                raise errors.conflict("The account has as many tokens as it may have; remove one.") from None
        return made(request, token.id, {**shown(token), "token": secret}, 201, warnings)


class AllTokens(_TokenCollection):
    """The tokens of all accounts, for those who administer accounts."""

    listed = False
    operations = {
        "GET": Operation(
            "The tokens of all accounts, newest first.",
            answer_schema(items=items_of(_ABOUT)),
            query={"user": {**_TEXT, "description": "Name of an account: its tokens alone."}},
        )
    }
    personal = frozenset({"GET", "HEAD", "DELETE"})

    def __init__(self, tokens: Tokens, privilege: str) -> None:
        super().__init__(tokens)
        self.privilege = privilege

    async def get(self, request: Request) -> Response:
        """List them."""
        user = request.query.get("user")
        found = [token for token in self._tokens.all() if user is None or token.user.casefold() == user.casefold()]
        return items(request, [(token.id, shown(token)) for token in found])


_ANY = Token(
    id="", digest="", account="", user="", password=None, name="", rights="read", created="", expires="",
)  # fmt: skip
"""What stands for any token where the API is described."""


class OneToken(Resource):
    """One token."""

    operations = {
        "GET": Operation("What the token is like, and when it was last used.", _ONE),
        "DELETE": Operation("End the token, at once.", answer_schema(), errors=(403,)),
    }

    def __init__(self, tokens: Tokens, token: Token, among: _TokenCollection) -> None:
        self._tokens, self._token = tokens, token
        self.privilege, self.personal = among.privilege, among.personal

    async def get(self, request: Request) -> Response:
        """Answer what is known of it."""
        return envelope(request, self._token.id, shown(self._token))

    async def delete(self, request: Request) -> Response:
        """End it."""
        await asyncio.to_thread(self._tokens.remove, self._token)
        return Response({"meta": meta(request)})


ACCOUNTS = users.PATH
"""The endpoint whose right is the right to everybody's tokens."""
