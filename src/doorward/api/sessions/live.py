"""``/api/sessions/live``: the sessions that run, to be watched, locked, ended (sessions contract, section 9)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

from doorward.api import errors
from doorward.api.audit.parameters import PAGES, page_of
from doorward.api.audit.service import Audited, AuditService, refusals
from doorward.api.audit.sessions import KEY
from doorward.api.audit.shown import peer, time_of
from doorward.api.bodies import sent
from doorward.api.request import Request, Response
from doorward.api.resources import ITEMS, Operation, Resource, answer_schema, envelope, meta
from doorward.api.sessions.follow import LiveScreen
from doorward.configuration.passwords import printable
from doorward.sessions.catalogue.rows import SessionRow
from doorward.sessions.live import LiveSession, NotLiveError
from doorward.tree.models import Body

MAX_REASON: Final = 500
Reason = Annotated[str, StringConstraints(min_length=1, max_length=MAX_REASON), AfterValidator(printable)]


class Locking(Body):
    """Whether what the client sends is held."""

    locked: bool = Field(description="true: what the client sends is held; what the server sends goes on. The user is told.")


class Ending(Body):
    """Why a session is ended."""

    reason: Reason = Field("Ended by an administrator.", description="The user is told, and it is recorded.")


_LOCKING: TypeAdapter[Locking] = TypeAdapter(Locking)
_ENDING: TypeAdapter[Ending] = TypeAdapter(Ending)
_ONE = answer_schema(body={"type": "object"}, key={"type": "string"})


class LiveCollection(Audited):
    """The sessions that run and that the caller may see."""

    operations = {
        "GET": Operation("Sessions that run, the oldest first.", answer_schema(items=ITEMS), errors=(400,), query=PAGES)
    }  # fmt: skip

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one session, whether it runs or not."""
        return OneLive(self.service, segment) if KEY.match(segment) else None

    def template(self) -> tuple[str, Resource]:
        """Return what a session is like."""
        return "key", OneLive(self.service, "")

    async def get(self, request: Request) -> Response:
        """List a page."""
        page, live = page_of(request), list(self.service.live.all())
        rows = await self.service.look(request, self._rows)
        seen = self.service.audience(request)
        visible = [(one, rows[one.key]) for one in live if one.key in rows and seen.sees(rows[one.key])]
        items = [
            {"body": live_body(one, row), "key": one.key, "meta": {"href": f"{request.href}/{one.key}"}}
            for one, row in visible[page.offset : page.offset + page.limit]
        ]
        return Response({"items": items, "meta": meta(request)})

    def _rows(self) -> dict[str, SessionRow]:
        return {row.key: row for row in self.service.catalogue.open_sessions()}


def live_body(one: LiveSession, row: SessionRow) -> dict[str, Any]:
    """Return the body of a session that runs; what is not known is left out."""
    told: dict[str, Any] = {
        "bytes_down": one.down,
        "bytes_up": one.up,
        "channels": one.channels,
        "client": peer(row.client),
        "connection_policy": row.policy,
        "connection_policy_id": row.policy_key,
        "followable": one.is_followable,
        "gateway_username": row.gateway_user,
        "locked": one.is_locked,
        "protocol": row.protocol,
        "server": peer(row.server),
        "server_username": row.server_user,
        "session_id": row.session_id,
        "start_time": time_of(row.began),
        "watchers": list(one.watchers),
    }
    if one.activity:
        told["last_activity"] = time_of(one.activity)
    return {name: value for name, value in told.items() if value not in ("", {})}


class OneLive(Audited):
    """A session that runs."""

    operations = {
        "GET": Operation("The session, while it runs.", _ONE, errors=(404, 409)),
        "PUT": Operation(
            "Lock the session, or let it go on.", _ONE, body=_LOCKING, body_name="Locking", errors=(400, 403, 404, 409)
        ),
        "DELETE": Operation(
            "End the session.",
            answer_schema(),
            errors=(400, 403, 404, 409),
            query={"reason": {"type": "string", "maxLength": 500, "description": "The user is told, and it is recorded."}},
            description="The reason may also be sent as a body: an object with the member reason.",
        ),
    }

    def __init__(self, service: AuditService, key: str) -> None:
        super().__init__(service)
        self._key = key
        self.children = {"follow": LiveScreen(service, key)}

    async def get(self, request: Request) -> Response:
        """Answer how it is doing."""
        one, row = await self._found(request)
        return envelope(request, self._key, live_body(one, row))

    async def put(self, request: Request) -> Response:
        """Lock or unlock."""
        locking, warnings = await sent(request, _LOCKING)
        await self._acting(request)
        try:
            await self.service.live.lock(self._key, locked=locking.locked)
        except NotLiveError:
            raise errors.not_found(request.href, self._key) from None
        one, row = await self._found(request)
        more = {"warnings": warnings} if warnings else {}
        return envelope(request, self._key, live_body(one, row), **more)

    async def delete(self, request: Request) -> Response:
        """End it."""
        ending, _ = await sent(request, _ENDING)
        reason = request.query.get("reason", "") or ending.reason
        if len(reason) > MAX_REASON or not reason.isprintable():
            raise errors.invalid_query([("format", f"At most {MAX_REASON} printable characters.", "reason")])
        await self._acting(request)
        try:
            await self.service.live.end(self._key, reason, request.member.name)
        except NotLiveError:
            raise errors.not_found(request.href, self._key) from None
        return Response({"meta": meta(request)})

    async def _found(self, request: Request) -> tuple[LiveSession, SessionRow]:
        """Return a session that runs, if the caller may see it or act on it. Raises 404."""
        one = self.service.live.find(self._key)
        with refusals(request):
            row = await self.service.look(request, self.service.catalogue.session, self._key)
        seen = self.service.audience(request)
        if row is None and seen.sees_some and self.service.nodes.all():
            self.service.check_here(request, await self.service.look(request, self.service.find, request, self._key))
        if one is None or row is None or not (seen.sees(row) or seen.may_act(row, request.address)):
            raise errors.not_found(request.href, self._key)
        return one, row

    async def _acting(self, request: Request) -> None:
        """Raise 404 where the caller may not even see the session, 403 where it may not act on it."""
        _, row = await self._found(request)
        request.check_again()
        if not self.service.audience(request).may_act(row, request.address):
            raise errors.unauthorized(request.href, write=True)

    def may_read(self, request: Request) -> bool:
        """Whether there can be sessions that the caller may see or act on."""
        seen = self.service.audience(request)
        return seen.sees_some or seen.acts
