"""``/api/setup``: is the appliance ready, and its first settings after ``serve --setup wizard`` (protocol, section 11)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from doorward.access.guard import Guard
from doorward.access.setup_code import SetupCode
from doorward.api import errors
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema
from doorward.configuration._setup import ADAPTER, FirstSettings
from doorward.events.events import Events
from doorward.transaction.setup import HREF, awaited, set_up
from doorward.tree.validation import check

if TYPE_CHECKING:
    from doorward.api.app import Application
    from doorward.transaction.commits import CommitService

log = structlog.get_logger()

_SHOWN = {"awaiting its first settings": "uninitialized", "starting": "booting"}


def ready_state(service: CommitService) -> str:
    """Return the state of the application once the host is as the running revision says."""
    return "awaiting its first settings" if awaited(service.pipeline.running) else "serving"


class Setup(Resource):
    """Whether the appliance is ready. Answers while it starts, too."""

    operations = {
        "GET": Operation(
            "Whether the appliance is set up and ready.",
            answer_schema(status={"enum": ["booting", "completed", "uninitialized"]}),
        ),
        "POST": Operation(
            "The first settings, once; afterwards refused.",
            {},
            body=ADAPTER,
            status=303,
            errors=(400, 403, 409, 429, 500, 503),
        ),
    }
    anonymous = frozenset({"GET", "HEAD", "POST"})
    extends = False

    def __init__(self, app: Application, service: CommitService, guard: Guard, events: Events, code: SetupCode | None) -> None:
        self._app, self._service, self._guard, self._events, self._code = app, service, guard, events, code

    async def get(self, _request: Request) -> Response:
        """Answer the state."""
        meta = {"eula": None, "href": HREF, "parent": "/api", "remaining_seconds": 0}
        return Response({"meta": meta, "status": _SHOWN.get(self._app.state, "completed")})

    async def post(self, request: Request) -> Response:
        """Set the appliance up, all of it or nothing; refuse where that was done.

        There is no second try, so that nothing is left out of the answers in silence.
        """
        self._refuse_unless_awaited()
        self._check_code(request)
        raw = await request.read()
        self._refuse_unless_awaited()  # again: somebody else may have been faster
        checked = check(ADAPTER, request.decoded(raw), strict=True)
        if checked.warnings:
            raise errors.invalid_body(checked.warnings)
        if checked.model.administration.root_password is not None:
            log.warning("the root password is ignored: the root account of the machine is left alone")
        self._app.state = "starting"  # at once: the task below begins later, and nobody else's answers may come in between
        await asyncio.shield(asyncio.ensure_future(self._set_up(request, checked.model)))
        return Response(b"", 303, {"Location": HREF})

    def _check_code(self, request: Request) -> None:
        """Refuse whoever can't say the code that this start has made, as a failed login is refused."""
        if self._code is None:
            return
        if seconds := self._guard.blocked_for(request.address):
            raise errors.too_many_requests(seconds)
        if not self._code.is_equal(request.headers.get("x-setup-code", "")):
            self._guard.failed(request.address)
            text = f"First settings from {request.address} were refused"
            self._events.raise_("login_failure", text, HREF, address=request.address, request_id=request.id)
            raise errors.setup_code_missing()

    def _refuse_unless_awaited(self) -> None:
        if self._app.state not in _SHOWN:
            raise errors.conflict("The appliance is set up already.", resource=HREF)
        if self._app.state == "starting":
            raise errors.conflict("The appliance is starting, or being set up.", resource=HREF)

    async def _set_up(self, request: Request, answers: FirstSettings) -> None:
        """Commit the answers; goes on when the client goes away. Meanwhile nobody else's are taken."""
        service = self._service
        try:
            await service.queue.run(lambda: set_up(service.pipeline, answers, request.address))
        finally:
            if self._app.state == "starting":
                self._app.state = ready_state(service)
        if self._code is not None:
            self._code.forget()
        log.info("set up", address=request.address)
