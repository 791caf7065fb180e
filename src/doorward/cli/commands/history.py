"""``doorward history``, ``diff`` and ``rollback``: what was committed, how it differs, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.commands.arguments import RevisionArgument
from doorward.cli.failures import Usage
from doorward.cli.options import Committing, Connection, Output, command

if TYPE_CHECKING:
    from doorward.cli.session import Session

_REVISIONS = "/api/revisions"
_PAGE = 500

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=_PAGE, help="Maximum number of revisions.", metavar="N")]
OneRevision = Annotated[
    int | None, typer.Argument(metavar="N", min=1, help="Show this revision alone, with its changes.", show_default=False)
]
Subject = Annotated[
    str,
    typer.Argument(
        metavar="N|FILE",
        help="Number of a revision, or a description for `doorward apply` (- for standard input).",
        show_default=False,
    ),
]
Other = Annotated[
    int | None, typer.Argument(metavar="M", min=1, help="Another revision; without: what runs.", show_default=False)
]
ExitCode = Annotated[bool, typer.Option("--exit-code", help="End with 2 where there is a difference.")]


_HEAD = ("REVISION", "TIME", "AUTHOR", "FROM", "CHANGES", "MESSAGE")


@command
def history(connection: Connection, output: Output, number: OneRevision = None, limit: Limit = 20) -> None:
    """List what was committed, by whom and why, newest first; or show one revision."""
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        awaited = awaiting(session)
        if number is None:
            items = session.client.get(f"{_REVISIONS}?limit={limit}").content["items"]
            found: Any = [{"number": int(item["key"]), **item["body"]} for item in items]
            render.emit(_marked(found, awaited), output.structured, render.table(_HEAD, [_row(one, awaited) for one in found]))
            return
        body = {"number": number, **session.client.body(f"{_REVISIONS}/{number}")}
        found = {**body, "changes": _changes(session, number)}
        shown = [*render.table(_HEAD, [_row(body, awaited)]), *render.changes(found["changes"], session.remote)]
        render.emit(_marked([found], awaited)[0], output.structured, shown)


def awaiting(session: Session) -> tuple[int, int] | None:
    """Return the revision that awaits its confirmation, and the seconds that are left; None where none does."""
    from doorward.cli.client import TRANSACTION
    from doorward.cli.failures import CommandRefusedError

    try:
        left = session.client.get(TRANSACTION).meta.get("confirm_remaining_seconds")
        return None if left is None else (_newest(session), int(left))
    except CommandRefusedError:  # the account may not see it
        return None


def _marked(found: list[dict[str, Any]], awaited: tuple[int, int] | None) -> list[dict[str, Any]]:
    """Add how long a revision awaits its confirmation."""
    return [{**one, "confirm_remaining_seconds": awaited[1]} if awaited and one["number"] == awaited[0] else one for one in found]


def _row(body: dict[str, Any], awaited: tuple[int, int] | None) -> list[str]:
    from doorward.cli.render import local_time
    from doorward.cli.times import words

    message = (body["commit_message"] or "").replace("\n", " ")
    if awaited and body["number"] == awaited[0]:
        message = f"[awaits confirmation, {words(awaited[1])} left] {message}".rstrip()
    return [
        str(body["number"]), local_time(body["time"]), body["author"], body["address"] or "-", str(body["changes"]), message
    ]  # fmt: skip


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
def diff(
    subject: Subject,
    connection: Connection,
    output: Output,
    other: Other = None,
    exit_code: ExitCode = False,  # noqa: FBT002 - Typer's option
) -> None:
    """Show what differs between two revisions, or what a description would change."""
    if not subject.isdecimal():
        from doorward.cli.commands.apply import apply_files

        if other is not None:
            raise Usage("A description is compared with what runs.")
        how = Committing(output=output.output, json=output.json, dry_run=True, exit_code=exit_code)
        apply_files(connection, how, [Path(subject)], prune=False)
        return
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        changes = _between(session, int(subject), other)
        shown = render.changes(changes, session.remote) if changes else [render.Line("No difference.")]
        render.emit({"changes": changes}, output.structured, shown)
    if changes and exit_code:
        raise typer.Exit(2)


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
    newer, older = ([found[n] for n in range(*ends, -1)] for ends in ((newest, last), (last, first)))
    changes = between(running, newer, older, session.tree.shape)
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
    from doorward.cli.failures import CommandRefusedError
    from doorward.cli.revisions import place
    from doorward.tree.changes import MISSING

    bodies: dict[str, Any] = {}
    for href in dict.fromkeys(place(path)[0] for path in paths):
        try:
            bodies[href] = session.client.body(href)
        except CommandRefusedError as refused:
            if refused.type != "NotFound":
                raise
            bodies[href] = MISSING
    return bodies
