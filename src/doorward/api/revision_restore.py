"""``/api/revisions/<number>/restore``: the way back to a revision, whole or at some places (protocol, section 13)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, TypeAdapter

from doorward.access.sight import CHANGELOG, Sight
from doorward.access.writable import not_restorable
from doorward.api import errors
from doorward.api.bodies import sent
from doorward.api.candidates import written_in_turn
from doorward.api.openapi_transaction import STATUS
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource
from doorward.api.transaction_status import status
from doorward.transaction.candidate import Candidate
from doorward.transaction.commits import CommitService
from doorward.transaction.conflicts import explained
from doorward.transaction.history import restore
from doorward.transaction.merge import MergeConflict, rebased
from doorward.tree.models import Body
from doorward.tree.places import ROOT
from doorward.tree.problems import InvalidBody, Problem, as_json


class RevisionRestoreOrder(Body):
    """What of a revision comes back: resources with all that is below them; [] is everything."""

    paths: Annotated[list[str], Field(max_length=100)] = Field([], description="Paths of resources of the configuration.")


_ORDER: TypeAdapter[RevisionRestoreOrder] = TypeAdapter(RevisionRestoreOrder)


class RevisionRestore(Resource):
    """Going back to a revision, or to what stood in it at some places."""

    operations = {
        "POST": Operation("Put the difference to the revision into the transaction.", STATUS, body=_ORDER, errors=(400, 403, 409))
    }
    personal = frozenset({"POST"})
    privilege = CHANGELOG

    def __init__(self, service: CommitService, number: int) -> None:
        self._service, self._number = service, number

    def may_write(self, request: Request) -> bool:
        """Who may read the history and write something; what comes back needs the rights of what it changes, or every right."""
        rights = request.member.rights
        return rights.everything or (self.may_read(request) and rights.may_write_something)

    async def post(self, request: Request) -> Response:
        """Fill the caller's candidate; a commit makes it real."""
        order, told = await sent(request, _ORDER)
        service = self._service
        if not order.paths and not request.member.rights.everything:
            raise errors.unauthorized(request.href, write=True)
        self._check(order.paths)
        async with written_in_turn(request, lambda: service.pipeline.running) as draft:
            before = draft.candidate
            draft.candidate = candidate = await service.queue.run(lambda: self._restored(before, order.paths))
            await asyncio.to_thread(self._check_rights, request, before, candidate)
            returning = service.pipeline.secrets.returning(candidate.edits(), candidate)
            warnings = told + as_json(await asyncio.to_thread(list, returning), request.href)
        return status(service, candidate, **({"warnings": warnings} if warnings else {}))

    def _check(self, paths: Sequence[str]) -> None:
        """Raise 400 where a path is no resource of the configuration."""
        found = ((at, path, self._service.pipeline.tree.within(path)) for at, path in enumerate(paths))
        message = "Must be the path of a resource of the configuration."
        wrong = [
            Problem("path", message, f"/paths/{at}")
            for at, path, where in found
            if where is None or not f"{path}/".startswith(f"{ROOT}/")
        ]
        if wrong:
            raise InvalidBody(wrong)

    def _check_rights(self, request: Request, before: Candidate, candidate: Candidate) -> None:
        """Raise 403 where the caller may not change all that has come back; it learns of those places that it may read."""
        tree, rights = self._service.pipeline.tree, request.member.rights
        forbidden = not_restorable(tree, before, candidate, rights)
        if forbidden:
            sight = Sight(tree, rights, candidate.base.snapshot, candidate.snapshot)
            seen = [place.href for place in forbidden if sight.place(place)]
            raise errors.not_restorable(request.href, seen, len(forbidden) - len(seen))

    def _restored(self, before: Candidate, paths: Sequence[str]) -> Candidate:
        """Run in the commit thread: what others committed since the transaction began is part of the difference."""
        pipeline = self._service.pipeline
        try:
            candidate = rebased(pipeline.tree, before, pipeline.running)
        except MergeConflict as collided:
            raise explained(pipeline.store, before.base.number, pipeline.running, collided) from None
        restore(pipeline.tree, pipeline.store, candidate, self._number, [path.rstrip("/") for path in paths])
        return candidate
