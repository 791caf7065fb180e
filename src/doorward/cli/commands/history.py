"""``doorward history``, ``blame``, ``diff`` and ``rollback``: what was committed, by whom, how it differs, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.commands.arguments import PathArgument, RevisionArgument
from doorward.cli.completing import paths
from doorward.cli.failures import Usage
from doorward.cli.options import Committing, ConnectionOptions, Output, command

if TYPE_CHECKING:
    from doorward.cli.addresses import ResourceAddress
    from doorward.cli.session import CommandSession

_REVISIONS = "/api/revisions"
_PAGE = 500

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=_PAGE, help="Maximum number of revisions.", metavar="N")]
RevisionOrPath = Annotated[
    str,
    typer.Argument(
        metavar="N|PATH|head",
        help="Number of a revision, shown alone with its changes; a path below /api/configuration: what changed it; or head: the "
        "signed head of the history, which `doorward verify --anchor` takes.",
        autocompletion=paths,
        show_default=False,
    ),
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
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--path", help="Only what stands at or below this path; may be given again.", metavar="PATH", show_default=False
    ),
]
ExitCode = Annotated[bool, typer.Option("--exit-code", help="End with 2 where there is a difference.")]


_HEAD = ("REVISION", "TIME", "AUTHOR", "FROM", "CHANGES", "MESSAGE")


@command
def history(connection: ConnectionOptions, output: Output, subject: RevisionOrPath = "", limit: Limit = 20) -> None:
    """List what was committed, by whom and why, newest first: all of it, or what changed one setting; or show one revision."""
    from doorward.cli import render
    from doorward.cli.session import connected
    from doorward.tree.jsontext import encode

    with connected(connection) as session:
        if subject == "head":
            head = session.client.body(f"{_REVISIONS}/head")
            render.emit(head, output.structured, [render.OutputLine(encode(head).decode())])
            return
        awaited = awaiting(session)
        if not subject.isdecimal():
            query = f"limit={limit}{f'&path={_located(session, subject).href}' if subject else ''}"
            items = session.client.get(f"{_REVISIONS}?{query}").content["items"]
            found: Any = [{"number": int(item["key"]), **item["body"]} for item in items]
            render.emit(_marked(found, awaited), output.structured, render.table(_HEAD, [_row(one, awaited) for one in found]))
            return
        number = int(subject)
        body = {"number": number, **session.client.body(f"{_REVISIONS}/{number}")}
        found = {**body, "changes": _changes(session, number)}
        shown = [*render.table(_HEAD, [_row(body, awaited)]), *render.changes(found["changes"], session.remote)]
        render.emit(_marked([found], awaited)[0], output.structured, shown)


def _located(session: CommandSession, path: str) -> ResourceAddress:
    from doorward.cli.addresses import locate

    return locate(session.tree, session.remote, path)


_BLAMED = ("SETTING", "REVISION", "TIME", "AUTHOR", "VALUE")


@command
def blame(connection: ConnectionOptions, output: Output, path: PathArgument) -> None:
    """Show who set each value of a setting, when, and with which revision."""
    from doorward.cli import render
    from doorward.cli.session import connected
    from doorward.tree.problems import pointer

    with connected(connection) as session:
        address = _located(session, path)
        answer = session.client.get(f"{address.href}?blame=true")
    body, at = answer.content["body"], pointer(address.member)
    blamed = {where: one for where, one in answer.meta["blame"].items() if f"{where}/".startswith(f"{at}/")}
    rows = [
        [where.lstrip("/") or "(all)", str(one["revision"]), render.local_time(one["time"]), one["author"], _value(body, where)]
        for where, one in blamed.items()
    ]
    render.emit(blamed, output.structured, render.table(_BLAMED, rows))


def _value(body: Any, pointer: str) -> str:
    """Return what stands at a pointer, on one line."""
    import json

    for name in pointer.split("/")[1:]:
        body = body[name.replace("~1", "/").replace("~0", "~")]
    reference = body.get("key") if isinstance(body, dict) and body.keys() == {"key", "meta"} else None
    return str(reference) if reference is not None else json.dumps(body, ensure_ascii=False)


def awaiting(session: CommandSession) -> tuple[int, int] | None:
    """Return the revision that awaits its confirmation, and the seconds that are left; None where none does."""
    from doorward.client.errors import ApiRefusedError
    from doorward.client.exchanges import TRANSACTION

    try:
        left = session.client.get(TRANSACTION).meta.get("confirm_remaining_seconds")
        return None if left is None else (_newest(session), int(left))
    except ApiRefusedError:  # the account may not see it
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
    if body.get("emergency"):
        message = f"[emergency] {message}"
    if body.get("approvers"):
        message = f"[accepted by {', '.join(body['approvers'])}] {message}".rstrip()
    return [
        str(body["number"]), local_time(body["time"]), body["author"], body["address"] or "-", str(body["changes"]), message
    ]  # fmt: skip


@command
def rollback(number: RevisionArgument, connection: ConnectionOptions, how: Committing, only: Only = None) -> None:
    """Go back to a revision, by a new one that undoes what came after it; with --path only there."""
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    with connected(connection) as session:
        where = [_located(session, path).href for path in only or ()]
        body = {"paths": where} if where else None
        transact(session, how, lambda: _restore(session, number, body))


def _restore(session: CommandSession, number: int, body: Any) -> None:
    session.client.write("POST", f"{_REVISIONS}/{number}/restore", body)


@command
def diff(
    subject: Subject,
    connection: ConnectionOptions,
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
        shown = render.changes(changes, session.remote) if changes else [render.OutputLine("No difference.")]
        render.emit({"changes": changes}, output.structured, shown)
    if changes and exit_code:
        raise typer.Exit(2)


def _between(session: CommandSession, number: int, other: int | None) -> list[dict[str, Any]]:
    """Return the changes from one revision to the other, whichever is older.

    What happened in the cluster is left out: that is no state to go back to.
    """
    target = _newest(session) if other is None else other
    session.client.get(f"{_REVISIONS}/{number}")  # says that there is none more plainly than a refused query
    found = session.client.get(f"{_REVISIONS}/{target}/changes?since={number}").content["changes"]
    return [change for change in found if change["path"].startswith("/api/configuration/")]


def _newest(session: CommandSession) -> int:
    return int(session.client.get(f"{_REVISIONS}?limit=1").content["items"][0]["key"])


def _changes(session: CommandSession, number: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = session.client.get(f"{_REVISIONS}/{number}/changes").content["changes"]
    return found
