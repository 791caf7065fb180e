"""``/api/backup/drills``: restore drills (backup contract, section 10.4)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from doorward.api import errors
from doorward.api.backup.answers import BACKUP, ONE, PAGE_QUERY, items, made, page
from doorward.api.backup.runs import no_policy
from doorward.api.bodies import sent
from doorward.api.request import Request, Response
from doorward.api.resources import ITEMS, Operation, Resource, answer_schema, envelope
from doorward.backup.failure import BackupError
from doorward.backup.names import parse
from doorward.backup.records import Drill
from doorward.backup.service import Backups, DrillRunningError
from doorward.backup.shown import drill_body, drill_href
from doorward.tree.fields import Confidential
from doorward.tree.models import Body, Variants
from doorward.tree.problems import Problem

_Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class OnTarget(Body):
    """A file on the target of the selected policy."""

    selection: Literal["target"] = Field(description="A file on the target.")
    value: _Text | None = Field(None, description="Name of the archive; null: the newest of this node.")


class Uploaded(Body):
    """An archive that was uploaded."""

    selection: Literal["upload"] = Field(description="An uploaded archive.")
    value: _Text = Field(description="Id of the upload.")


_Source = Annotated[OnTarget | Uploaded, Variants("selection")]


class DrillOrder(Body):
    """What is drilled."""

    source: _Source = Field(description="Which archive.")
    password: Annotated[str, StringConstraints(max_length=150), Confidential] | None = Field(
        None, description="What an export under a password opens with."
    )


_ORDER: TypeAdapter[DrillOrder] = TypeAdapter(DrillOrder)


class Drills(Resource):
    """The restore drills."""

    operations = {
        "GET": Operation("Restore drills, newest first.", answer_schema(items=ITEMS), errors=(400,), query=PAGE_QUERY),
        "POST": Operation("Begin a restore drill.", ONE, body=_ORDER, status=202, errors=(400, 403, 409)),
    }
    privilege = BACKUP

    def __init__(self, backups: Backups) -> None:
        self._backups = backups

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one drill."""
        drill = self._backups.drills.get(segment)
        return OneDrill(drill) if drill else None

    def template(self) -> tuple[str, Resource]:
        """Return what a drill is like."""
        return "id", OneDrill(Drill())

    async def get(self, request: Request) -> Response:
        """List a page."""
        limit, offset = page(request)
        found = await asyncio.to_thread(self._backups.drills.find, limit, offset)
        return items(request, [(drill.id, drill_body(drill)) for drill in found])

    async def post(self, request: Request) -> Response:
        """Begin a drill."""
        order, warnings = await sent(request, _ORDER)
        try:
            drill = await asyncio.to_thread(self._begin, request, order)
        except DrillRunningError as other:
            message = "Another restore drill is not finished yet."
            raise errors.conflict(message, resource=drill_href(other.drill.id)) from None
        return made(request, drill.id, drill_body(drill), 202, warnings)

    def _begin(self, request: Request, order: DrillOrder) -> Drill:
        author = request.member.name
        if isinstance(order.source, Uploaded):
            drill = self._backups.drill_upload(order.source.value, order.password, author, request.is_allowed)
            if drill is None:
                problem = Problem("unknown_reference", "There is no such upload.", "/source/value", request.href)
                raise errors.meaning([problem], "request")
            return drill
        value = order.source.value
        if value is not None and parse(value) is None:
            raise errors.invalid_body([Problem("format", "Must be the name of an archive.", "/source/value")])
        try:
            return self._backups.drill_stored(value, author, request.is_allowed)
        except BackupError:
            raise no_policy() from None


class OneDrill(Resource):
    """One restore drill."""

    operations = {"GET": Operation("How the drill went.", ONE)}
    privilege = BACKUP

    def __init__(self, drill: Drill) -> None:
        self._drill = drill

    async def get(self, request: Request) -> Response:
        """Answer the drill."""
        return envelope(request, self._drill.id, drill_body(self._drill))
