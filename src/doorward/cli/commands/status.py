"""``doorward status``, ``trial`` and ``confirm``: one screen about the node, and what awaits the word that makes it stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from doorward.cli.options import ConnectionOptions, Output, command

if TYPE_CHECKING:
    from doorward.cli.render import OutputLine
    from doorward.cli.session import CommandSession

_TRANSACTION = "/api/transaction"
_PAGE = 500
_UNITS = (("days", 86_400), ("hours", 3600), ("min", 60), ("s", 1))


@command
def status(connection: ConnectionOptions, output: Output) -> None:
    """Show what the node is, what runs, its backups, cluster and sessions, and what is wrong. Exit code 1: something is."""
    from doorward.cli.render import emit
    from doorward.cli.session import connected
    from doorward.client.trust import shown_pin

    with connected(connection) as session:
        found = _found(session)
        found["key"] = shown_pin(session.target.url)
        emit(found, output.structured, _lines(found))
    if found["health"] and found["health"]["errors"]:
        raise typer.Exit(1)


def _found(session: CommandSession) -> dict[str, Any]:
    from doorward.cli.commands.history import awaiting
    from doorward.cli.stage import staged

    info = session.client.get("/api/info")
    body = info.content["body"]
    awaited = awaiting(session)
    newest = _readable(session, "/api/revisions?limit=1", "items")
    health = _readable(session, "/api/health_status", "health_status")
    who = _readable(session, "/api/user/info", "body")
    return {
        "node": {
            "id": info.meta.get("node"),
            "name": ".".join(filter(None, (body["hostname"], body["domainname"]))),
            "nickname": body["nickname"],
            "version": body["product"]["version"],
            "url": session.target.url,
            "account": who["name"] if who else session.target.user,
        },
        "role": ", ".join(body["roles"]) or "standalone",
        "revision": {"number": int(newest[0]["key"]), **newest[0]["body"]} if newest else None,
        "awaits_confirmation": awaited and {"revision": awaited[0], "remaining_seconds": awaited[1]},
        "staged": len(staged(session.target).edits),
        "proposals": _proposed(session),
        "backup": _readable(session, "/api/backup/status", "body"),
        "cluster": _readable(session, "/api/cluster/status", "items") if body["roles"] else None,
        "sessions": _counted(session),
        "health": health and health["issues"],
    }


def _proposed(session: CommandSession) -> int | None:
    """Return how many proposals of the account, and for it, wait."""
    found = _readable(session, "/api/proposals?state=open", "items")
    return None if found is None else len(found)


def _counted(session: CommandSession) -> int | None:
    """Return how many sessions run that the account may see; None where it may see none at all."""
    found, offset = 0, 0
    while True:
        page = _readable(session, f"/api/sessions/live?limit={_PAGE}&offset={offset}", "items")
        if page is None:
            return None
        found, offset = found + len(page), offset + _PAGE
        if len(page) < _PAGE:
            return found


def _readable(session: CommandSession, path: str, member: str) -> Any:
    """Return a member of an answer; None where the account may not read it."""
    from doorward.client.errors import ApiRefusedError

    try:
        return session.client.get(path).content[member]
    except ApiRefusedError as refused:
        if refused.status not in {403, 404}:  # a node that is in no cluster has no status of one
            raise
        return None


def _lines(found: dict[str, Any]) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine, local_time
    from doorward.cli.times import words

    node, revision, awaited = found["node"], found["revision"], found["awaits_confirmation"]
    nickname = f" ({node['nickname']})" if node["nickname"] else ""
    yield OutputLine(f"Node:      {node['name']}{nickname}, Doorward {node['version']}", "bold")
    yield OutputLine(f"Address:   {node['url']}, as {node['account']}")
    if found["key"]:
        yield OutputLine(f"Key:       {found['key']}")
    yield OutputLine(f"Role:      {found['role']}")
    if revision:
        why = f": {revision['commit_message']}" if revision["commit_message"] else ""
        yield OutputLine(
            f"Revision:  {revision['number']} by {revision['author']}, {local_time(revision['time'])}{why}".replace("\n", " ")
        )
    if awaited:
        left = words(awaited["remaining_seconds"])
        yield OutputLine(
            f"Awaiting:  revision {awaited['revision']} goes back in {left} unless you run `doorward confirm`", "bold yellow"
        )
    if found["staged"]:
        yield OutputLine(f"Staged:    {found['staged']}, not committed; `doorward plan` shows it")
    if found["proposals"]:
        yield OutputLine(f"Proposals: {found['proposals']} waiting; `doorward proposals list` shows them", "yellow")
    yield from _surroundings(found)
    issues = found["health"]
    if issues is None:
        yield OutputLine("Health:    this account may not see it", "dim")
        return
    wrong = [("Error", "red", issue) for issue in issues["errors"]] + [
        ("Warning", "yellow", issue) for issue in issues["warnings"]
    ]
    yield OutputLine("Health:    all is well", "green") if not wrong else OutputLine(f"Health:    {len(wrong)} to look at")
    for kind, style, issue in wrong:
        places = f" ({', '.join(issue['paths'])})" if issue["paths"] else ""
        yield OutputLine(f"  {kind}: {issue['message']}{places}", style)


def _surroundings(found: dict[str, Any]) -> Iterator[OutputLine]:
    """Yield the lines about backups, cluster and sessions, as far as the account may see them."""
    from doorward.cli.render import OutputLine, local_time

    if (backup := found["backup"]) is not None:
        last, late = backup["last_success"], backup["overdue"]
        done = f"last one {local_time(last['at'])}, {_age(last['at'])} ago" if last else "none yet"
        due = f"; next {local_time(backup['next_due'])}" if backup["next_due"] else "; none is due"
        yield OutputLine(f"Backup:    {done}{due}{', OVERDUE' if late else ''}", "bold yellow" if late else "")
    if found["cluster"]:
        wrong = [node for node in found["cluster"] if node["status"] != "ok"]
        names = ", ".join(f"{node['fqdn'] or node['key']} {node['status']}" for node in wrong)
        yield OutputLine(f"Cluster:   {len(found['cluster'])} nodes, {names or 'all well'}", "yellow" if wrong else "")
    if found["sessions"] is not None:
        yield OutputLine(f"Sessions:  {found['sessions']} running")


def _age(time: str) -> str:
    """Return how long ago a moment was, in the largest unit that says something; by the clock of this machine."""
    from datetime import UTC, datetime

    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()))
    unit, size = next((unit for unit in _UNITS if seconds >= 2 * unit[1]), _UNITS[-1])
    return f"{seconds // size} {unit}"


@command
def trial(connection: ConnectionOptions, output: Output) -> None:
    """Show what awaits confirmation: what goes back by itself, when, and what it changed. Exit code 1: nothing does."""
    from doorward.cli import render
    from doorward.cli.commands.history import awaiting
    from doorward.cli.session import connected
    from doorward.cli.times import words

    with connected(connection) as session:
        awaited = awaiting(session)
        if awaited is None:
            render.emit(None, output.structured, [render.OutputLine("Nothing awaits confirmation.", "dim")])
            raise typer.Exit(1)
        number, left = awaited
        changes = _readable(session, f"/api/revisions/{number}/changes", "changes")
        found = {"revision": number, "remaining_seconds": left, "changes": changes}
        head = render.OutputLine(f"Revision {number} goes back in {words(left)} unless you run `doorward confirm`", "bold yellow")
        render.emit(found, output.structured, [head, *render.changes(changes or [], session.remote)])


@command
def confirm(connection: ConnectionOptions) -> None:
    """Confirm the commit that would go back by itself: it stays."""
    from doorward.cli.render import OutputLine, show
    from doorward.cli.session import connected

    with connected(connection) as session:
        answer = session.client.write("PUT", _TRANSACTION, {"status": "confirm"})
        show([OutputLine(f"Revision {answer.meta['revision']} is confirmed and stays.", "bold green")])
