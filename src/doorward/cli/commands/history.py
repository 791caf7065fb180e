"""``doorward history``, ``diff`` and ``rollback``: what was committed, how it differs, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.commands.arguments import RevisionArgument
from doorward.cli.failures import Usage
from doorward.cli.options import Committing, Connection, command

if TYPE_CHECKING:
    from doorward.cli.session import Session

_REVISIONS = "/api/revisions"
_PAGE = 500

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=_PAGE, help="So many revisions at most.")]
OneRevision = Annotated[int | None, typer.Argument(metavar="[N]", min=1, help="Show this revision alone, with its changes.")]
Subject = Annotated[str, typer.Argument(metavar="N|FILE", help="Number of a revision, or a description for `doorward apply`.")]
Other = Annotated[
    int | None, typer.Argument(metavar="[M]", min=1, help="Another revision; without: what runs.", show_default=False)
]


@command
def history(connection: Connection, number: OneRevision = None, limit: Limit = 20) -> None:
    """List what was committed, by whom and why, newest first; or show one revision."""
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        if number is None:
            items = session.client.get(f"{_REVISIONS}?limit={limit}").content["items"]
            rows = [_row(item["key"], item["body"]) for item in items]
            render.show(render.table(("REVISION", "TIME", "AUTHOR", "FROM", "CHANGES", "MESSAGE"), rows))
            return
        body = session.client.body(f"{_REVISIONS}/{number}")
        head = _row(str(number), body)
        render.show(render.table(("REVISION", "TIME", "AUTHOR", "FROM", "CHANGES", "MESSAGE"), [head]))
        render.show(render.changes(_changes(session, number), session.remote))


def _row(number: str, body: dict[str, Any]) -> list[str]:
    from doorward.cli.render import local_time

    message = (body["commit_message"] or "").replace("\n", " ")
    return [number, local_time(body["time"]), body["author"], body["address"] or "-", str(body["changes"]), message]


@command
def rollback(number: RevisionArgument, connection: Connection, how: Committing) -> None:
    """Go back to a revision, by a new one that undoes what came after it."""
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    with connected(connection) as session:
        transact(session, how, lambda: _restore(session, number))


def _restore(session: Session, number: int) -> None:
    session.client.write("POST", f"{_REVISIONS}/{number}/restore")


@command
def diff(subject: Subject, connection: Connection, other: Other = None) -> None:
    """Show what differs between two revisions, or what a description would change."""
    if not subject.isdecimal():
        from doorward.cli.commands.apply import apply_file

        if other is not None:
            raise Usage("A description is compared with what runs.")
        apply_file(connection, Committing(dry_run=True), Path(subject), prune=False)
        return
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        changes = _between(session, int(subject), other)
        render.show(render.changes(changes, session.remote) if changes else [render.Line("No difference.")])


def _between(session: Session, number: int, other: int | None) -> list[dict[str, Any]]:
    """Return the changes from one revision to the other, whichever is older."""
    from doorward.cli.revisions import between

    while True:
        newest = _newest(session)
        target = newest if other is None else other
        for wanted in (number, target):
            if not 0 < wanted <= newest:
                session.client.get(f"{_REVISIONS}/{wanted}")
        first, last = sorted((number, target))
        found = {n: _of_configuration(_changes(session, n)) for n in range(newest, first, -1)}
        running = _running(session, [change["path"] for changes in found.values() for change in changes])
        if _newest(session) == newest:  # else somebody committed in between
            break
    changes = between(running, [found[n] for n in range(newest, last, -1)], [found[n] for n in range(last, first, -1)])
    return changes if number <= target else [_turned(change) for change in changes]


_TURNED = {"new_value": "old_value", "old_value": "new_value", "new_order": "old_order", "old_order": "new_order"}
_TYPES = {"create": "delete", "delete": "create"}


def _turned(change: dict[str, Any]) -> dict[str, Any]:
    turned = {_TURNED.get(name, name): value for name, value in change.items()}
    return {**turned, "type": _TYPES.get(change["type"], change["type"])}


def _newest(session: Session) -> int:
    return int(session.client.get(f"{_REVISIONS}?limit=1").content["items"][0]["key"])


def _changes(session: Session, number: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = session.client.get(f"{_REVISIONS}/{number}/changes").content["changes"]
    return found


def _of_configuration(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what happened in the cluster: that is no state to go back to, and has no body to compare."""
    return [change for change in changes if change["path"].startswith("/api/configuration/")]


def _running(session: Session, paths: list[str]) -> dict[str, Any]:
    """Return the bodies that run now of all resources that changes name."""
    from doorward.cli.failures import Refused
    from doorward.cli.revisions import place
    from doorward.tree.changes import MISSING

    bodies: dict[str, Any] = {}
    for href in dict.fromkeys(place(path)[0] for path in paths):
        try:
            bodies[href] = session.client.body(href)
        except Refused as refused:
            if refused.type != "NotFound":
                raise
            bodies[href] = MISSING
    return bodies
