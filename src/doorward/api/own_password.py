"""``/api/user/password``: a new password for oneself (trust, section 4)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints, TypeAdapter

from doorward.access.accounts import account_in
from doorward.access.logins import LoginSession
from doorward.access.own_password import WEAK, change_password
from doorward.access.tokens import Tokens
from doorward.api.authentication import Authentication
from doorward.api.bodies import sent
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, meta, meta_schema
from doorward.api.transaction import still_permitted
from doorward.transaction.commits import CommitService
from doorward.tree.models import Body
from doorward.tree.problems import InvalidBody, Problem, SemanticError

_Secret = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
_SECRET: dict[str, JsonValue] = {"format": "password", "writeOnly": True}


class PasswordChange(Body):
    """The password that an account has, and the one that it gets."""

    current: _Secret = Field(description="The password of now.", repr=False, json_schema_extra=_SECRET)
    new: _Secret = Field(description="The password from now on.", repr=False, json_schema_extra=_SECRET)


_ORDER: TypeAdapter[PasswordChange] = TypeAdapter(PasswordChange)
_ABOUT = meta_schema("OwnPasswordMeta", revision={"type": "integer", "description": "The revision that has the new password."})


class OwnPassword(Resource):
    """The password of the caller's account."""

    listed = False

    operations = {
        "PUT": Operation(
            "Change the password, at once, as a revision of its own. All other login sessions and all tokens of the account end.",
            answer_schema(_ABOUT),
            body=_ORDER,
            body_name="NewPassword",
            errors=(400, 403, 409, 429, 500, 503),
        )
    }
    personal = frozenset({"PUT"})

    def __init__(self, service: CommitService, authentication: Authentication, tokens: Tokens) -> None:
        self._service, self._tokens = service, tokens
        self._authentication = authentication

    async def put(self, request: Request) -> Response:
        """Change it. What the caller's transaction holds stays there, uncommitted."""
        order, warnings = await sent(request, _ORDER)
        async with request.turn() as login:
            if not await self._authentication.proves(request, login.name, order.current):
                raise SemanticError([Problem("wrong_password", "This is not the password.", "/current", request.href)])
            request.check_again()
            try:
                revision = await self._service.queue.run(lambda: self._change(request, login, order.new))
            except InvalidBody as refused:
                raise InvalidBody(Problem(p.code, p.message, "/new") for p in refused.problems) from None
            except SemanticError as refused:
                raise SemanticError(_placed(problem, request.href) for problem in refused.problems) from None
        about = meta(request, revision=revision) | ({"warnings": warnings} if warnings else {})
        return Response({"meta": about})

    def _change(self, request: Request, login: LoginSession, text: str) -> int:
        """Run in the commit thread."""
        still_permitted(request, login)
        self._service.check_pending()
        pipeline = self._service.pipeline

        def about_to_have(key: str) -> None:
            account = account_in(pipeline.running.snapshot, login.account)
            login.succeed(account, key)

        try:
            change_password(pipeline, login.account, text, request.address, about_to_have)
        finally:
            login.settle()
        self._tokens.prune()
        return pipeline.running.number


def _placed(problem: Problem, href: str) -> Problem:
    """Return a problem with the new password where it was sent."""
    return Problem(problem.code, problem.message, "/new", href) if problem.code == WEAK else problem
