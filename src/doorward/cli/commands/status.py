"""``doorward status`` and ``confirm``: one screen about the node, and the word that makes a commit stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from doorward.cli.options import Connection, Output, command

if TYPE_CHECKING:
    from doorward.cli.render import Line
    from doorward.cli.session import Session

_TRANSACTION = "/api/transaction"


@command
def status(connection: Connection, output: Output) -> None:
    """Show what the node is, what runs, what awaits its confirmation, and what is wrong. Exit code 1: something is."""
    from doorward.cli.identity import shown_pin
    from doorward.cli.render import emit
    from doorward.cli.session import connected

    with connected(connection) as session:
        found = _found(session)
        found["key"] = shown_pin(session.target.url)
        emit(found, output.structured, _lines(found))
    if found["health"] and found["health"]["errors"]:
        raise typer.Exit(1)


def _found(session: Session) -> dict[str, Any]:
    from doorward.cli.commands.history import awaiting
    from doorward.cli.stage import staged

    info = session.client.get("/api/info")
    body = info.content["body"]
    awaited = awaiting(session)
    newest = _readable(session, "/api/revisions?limit=1", "items")
    health = _readable(session, "/api/health_status", "health_status")
    return {
        "node": {
            "id": info.meta.get("node"),
            "name": ".".join(filter(None, (body["hostname"], body["domainname"]))),
            "nickname": body["nickname"],
            "version": body["product"]["version"],
            "url": session.target.url,
            "account": session.target.user,
        },
        "role": ", ".join(body["roles"]) or "standalone",
        "revision": {"number": int(newest[0]["key"]), **newest[0]["body"]} if newest else None,
        "awaits_confirmation": awaited and {"revision": awaited[0], "remaining_seconds": awaited[1]},
        "staged": len(staged(session.target).edits),
        "health": health and health["issues"],
    }


def _readable(session: Session, path: str, member: str) -> Any:
    """Return a member of an answer; None where the account may not read it."""
    from doorward.cli.failures import CommandRefusedError

    try:
        return session.client.get(path).content[member]
    except CommandRefusedError as refused:
        if refused.status != 403:  # noqa: PLR2004 - HTTP's number
            raise
        return None


def _lines(found: dict[str, Any]) -> Iterator[Line]:
    from doorward.cli.render import Line, local_time
    from doorward.cli.times import words

    node, revision, awaited = found["node"], found["revision"], found["awaits_confirmation"]
    nickname = f" ({node['nickname']})" if node["nickname"] else ""
    yield Line(f"Node:      {node['name']}{nickname}, Doorward {node['version']}", "bold")
    yield Line(f"Address:   {node['url']}, as {node['account']}")
    if found["key"]:
        yield Line(f"Key:       {found['key']}")
    yield Line(f"Role:      {found['role']}")
    if revision:
        why = f": {revision['commit_message']}" if revision["commit_message"] else ""
        yield Line(
            f"Revision:  {revision['number']} by {revision['author']}, {local_time(revision['time'])}{why}".replace("\n", " ")
        )
    if awaited:
        left = words(awaited["remaining_seconds"])
        yield Line(
            f"Awaiting:  revision {awaited['revision']} goes back in {left} unless you run `doorward confirm`", "bold yellow"
        )
    if found["staged"]:
        yield Line(f"Staged:    {found['staged']}, not committed; `doorward plan` shows it")
    issues = found["health"]
    if issues is None:
        yield Line("Health:    this account may not see it", "dim")
        return
    wrong = [("Error", "red", issue) for issue in issues["errors"]] + [
        ("Warning", "yellow", issue) for issue in issues["warnings"]
    ]
    yield Line("Health:    all is well", "green") if not wrong else Line(f"Health:    {len(wrong)} to look at")
    for kind, style, issue in wrong:
        places = f" ({', '.join(issue['paths'])})" if issue["paths"] else ""
        yield Line(f"  {kind}: {issue['message']}{places}", style)


@command
def confirm(connection: Connection) -> None:
    """Confirm the commit that would go back by itself: it stays."""
    from doorward.cli.render import Line, show
    from doorward.cli.session import connected

    with connected(connection) as session:
        answer = session.client.write("PUT", _TRANSACTION, {"status": "confirm"})
        show([Line(f"Revision {answer.meta['revision']} is confirmed and stays.", "bold green")])
