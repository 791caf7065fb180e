"""``/api/transaction/changes`` and ``plan``: what the open transaction changes, and what its commit would do (section 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from doorward.access.logins import Logins
from doorward.access.sight import Sight
from doorward.access.writable import not_writable
from doorward.api.openapi_transaction import CHANGE_LIST
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, envelope, meta
from doorward.api.transaction_status import HREF
from doorward.host.engine import ApplyError
from doorward.transaction.candidate import Candidate
from doorward.transaction.changes import as_changes
from doorward.transaction.merge import MergeConflict, Merged
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.planner import CommitReport
from doorward.transaction.privileged import REQUIRED, Committer
from doorward.transaction.proposals import Proposal, groups_of
from doorward.tree.problems import Problem, SemanticError, as_json
from doorward.tree.registry import Tree


def _sight(tree: Tree, request: Request, candidate: Candidate | None) -> Sight:
    """Return what the caller may see of the own transaction."""
    snapshots = (candidate.snapshot, candidate.base.snapshot) if candidate else ()
    return Sight(tree, request.member.rights, *snapshots, unowned=True)


class Changes(Resource):
    """What the candidate changes."""

    for_every_token = frozenset({"GET", "HEAD"})
    operations = {"GET": Operation("The net difference to the running configuration.", CHANGE_LIST)}

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    async def get(self, request: Request) -> Response:
        """List the changes, sorted by path."""
        candidate, tree = request.member.candidate, self._tree
        changes = as_changes(tree, candidate.edits()) if candidate else []
        shown = _sight(tree, request, candidate).members({"changes": changes}, "changes")
        hidden = {"hidden": shown["hidden"]} if "hidden" in shown else {}
        return Response({"changes": shown["changes"], "meta": meta(request, transaction=HREF, **hidden)})


class Preview:
    """Works out what a commit would do. Blocks: the host is looked at."""

    def __init__(self, pipeline: Pipeline, logins: Logins) -> None:
        self._pipeline, self._logins = pipeline, logins

    def of(self, candidate: Candidate, address: str, by: Committer, sight: Sight) -> dict[str, Any]:
        """Return what the commit of a candidate from an address would do, as far as a reader may see it."""
        pipeline = self._pipeline
        body = _nothing()
        body["changes"] = len(as_changes(pipeline.tree, candidate.edits()))
        try:
            report = pipeline.plan(candidate, address=address, asked=False, by=by)
        except MergeConflict as collided:
            body["conflicts"] = _conflicts(collided)
        except ApplyError as error:
            body["problems"] = as_json([Problem("host", f"{error.reason}.", "", error.origin)])
        else:
            body["actions"] = [{"action": a.action, "effect": a.effect, "path": a.origin} for a in report.plan.actions]
            body["actions"] += self._ended(report.merged)
            dropped = (action for ask in pipeline.dropping for action in ask(pipeline.running.snapshot, report.merged.snapshot))
            body["actions"] += [{"action": a.action, "effect": a.effect, "path": a.origin} for a in dropped]
            body["problems"] = as_json(report.problems, HREF)
            body["warnings"] = as_json((*_approval(report), *report.warnings), HREF)
        return _seen(body, sight)

    def of_proposal(self, proposal: Proposal, by: Committer, sight: Sight) -> dict[str, Any]:
        """Return what the acceptance of a proposal would do."""
        pipeline = self._pipeline
        try:
            candidate = pipeline.proposals.candidate(proposal, pipeline.running)
        except MergeConflict as collided:
            return _seen(_nothing() | {"changes": len(proposal.rows), "conflicts": _conflicts(collided)}, sight)
        except SemanticError as refused:
            return _seen(_nothing() | {"changes": len(proposal.rows), "problems": as_json(refused.problems)}, sight)
        return self.of(candidate, proposal.address, by, sight)

    def _ended(self, merged: Merged) -> list[dict[str, str]]:
        ended = self._logins.would_end(self._pipeline.running.snapshot, merged.snapshot, merged.edits)
        return [
            {
                "action": f"end {count} login session{'' if count == 1 else 's'} of {name}",
                "effect": "sessions_drop",
                "path": place.href,
            }
            for place, name, count in ended
        ]


def _nothing() -> dict[str, Any]:
    return {"actions": [], "changes": 0, "conflicts": [], "problems": [], "warnings": []}


def _conflicts(collided: MergeConflict) -> list[dict[str, str]]:
    return [{"path": path} for path in sorted(collision.path for collision in collided.collisions)]


def _seen(body: dict[str, Any], sight: Sight) -> dict[str, Any]:
    body = sight.members(body, "actions", "conflicts", "problems", "warnings")
    body["conflicts"] = [conflict["path"] for conflict in body["conflicts"]]
    return body


def _approval(report: CommitReport) -> Iterator[Problem]:
    """Yield the warning that a commit would wait for somebody."""
    if report.asked:
        message = f"It takes effect once it was accepted by {' and '.join(groups_of(report.asked))}."
        yield Problem("approval_required", message, "", HREF)


class CommitPlan(Resource):
    """What a commit would do."""

    for_every_token = frozenset({"GET", "HEAD"})
    operations = {
        "GET": Operation("A dry run of the commit: the host is looked at, not touched.", answer_schema(body={"type": "object"}))
    }

    def __init__(self, pipeline: Pipeline, preview: Preview) -> None:
        self._pipeline, self._preview = pipeline, preview

    async def get(self, request: Request) -> Response:
        """Work out the plan."""
        pipeline = self._pipeline
        open_one = request.member.candidate
        candidate = open_one.copy() if open_one else Candidate.on(pipeline.running)
        by = Committer(request.member.account, request.member.rights.everything)
        sight = _sight(pipeline.tree, request, candidate)
        body = await asyncio.to_thread(self._preview.of, candidate, request.address, by, sight)
        body["problems"] += as_json(self._lost(request, candidate), HREF)
        return envelope(request, "plan", body)

    def _lost(self, request: Request, candidate: Candidate) -> Iterator[Problem]:
        """Yield what a commit would be refused for since the caller may no longer change it."""
        for path in not_writable(self._pipeline.tree, candidate, request.member.rights):
            yield Problem(REQUIRED, "This account may no longer change the resource.", "", path)
