"""``/api/transaction/rebase``: the changes of a transaction onto what runs now, where others changed the same (an extension)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, TypeAdapter

from doorward.api import errors
from doorward.api.bodies import sent
from doorward.api.openapi_transaction import STATUS
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource
from doorward.api.transaction_status import HREF, status
from doorward.transaction.candidate import Candidate
from doorward.transaction.commits import CommitService
from doorward.transaction.conflicts import ConflictingChangesError, explained
from doorward.transaction.merge import Choice, MergeConflict, rebased
from doorward.tree.models import Body
from doorward.tree.problems import InvalidBody, Problem

_Paths = Annotated[list[str], Field(max_length=10_000)]


class RebaseOrder(Body):
    """What becomes of the places that somebody else changed as well, by the paths of a 409."""

    mine: _Paths = Field([], description="Paths of conflicts where the change of this transaction stays.")
    theirs: _Paths = Field([], description="Paths of conflicts where what runs stays.")
    revision: int | None = Field(
        None, ge=0, description="The last revision that was looked at: what is newer is a conflict again. null: whatever runs."
    )


_ORDER: TypeAdapter[RebaseOrder] = TypeAdapter(RebaseOrder)


class Rebase(Resource):
    """Solving conflicts: the transaction as if it had been opened just now, with everything that is in it."""

    for_every_token = frozenset({"POST"})
    operations = {
        "POST": Operation(
            "Bring the transaction up to what runs, with a choice for every conflict.", STATUS, body=_ORDER, errors=(400, 409)
        )
    }

    def __init__(self, service: CommitService) -> None:
        self._service = service

    def may_write(self, request: Request) -> bool:
        """Whoever may have a transaction: it holds nothing that was not judged when it was written."""
        return request.member.rights.may_write_something

    async def post(self, request: Request) -> Response:
        """Replace the candidate; nothing is changed where a conflict is left without a choice."""
        order, warnings = await sent(request, _ORDER)
        choices = _choices(order)
        service = self._service
        async with request.turn() as login:
            before = login.candidate
            if before is None:
                raise errors.conflict("No transaction is open.", resource=HREF)
            candidate = await service.queue.run(lambda: self._rebased(before, choices, order.revision))
            request.check_again()
            login.candidate = candidate
        return status(service, candidate, **({"warnings": warnings} if warnings else {}))

    def _rebased(self, before: Candidate, choices: Mapping[str, Choice], revision: int | None) -> Candidate:
        """Run in the commit thread, so that what runs does not change meanwhile."""
        pipeline = self._service.pipeline
        running = pipeline.running
        try:
            return rebased(pipeline.tree, before, running)
        except MergeConflict as collided:
            conflicts = explained(pipeline.store, before.base.number, running, collided).conflicts
        newer = [one for one in conflicts if one.path in choices and revision is not None and one.revision > revision]
        undecided = [one for one in conflicts if one.path not in choices or one in newer]
        if undecided:
            raise ConflictingChangesError(undecided)
        try:
            return rebased(pipeline.tree, before, running, choices)
        except MergeConflict as collided:  # what was chosen does not fit together
            raise explained(pipeline.store, before.base.number, running, collided) from None


def _choices(order: RebaseOrder) -> dict[str, Choice]:
    """Return the choices by their paths. Raises InvalidBody where one has two."""
    twice = set(order.mine) & set(order.theirs)
    wrong = [
        Problem("contradiction", "Is in both lists.", f"/theirs/{index}")
        for index, path in enumerate(order.theirs)
        if path in twice
    ]
    if wrong:
        raise InvalidBody(wrong)
    return {**dict.fromkeys(order.mine, "mine"), **dict.fromkeys(order.theirs, "theirs")}
