"""``doorward proposals``: commits that wait for a second person, and what people say to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.failures import CommandError
from doorward.cli.help import group, register
from doorward.cli.options import ConnectionOptions, Output, command

if TYPE_CHECKING:
    from doorward.cli.render import OutputLine
    from doorward.cli.session import CommandSession

app = group("proposals", "Proposals: commits that take effect once somebody else has accepted them.")

_PROPOSALS = "/api/proposals"
_HEAD = ["ID", "AUTHOR", "STATE", "PROPOSED", "WAITS FOR", "MESSAGE"]

ProposalArgument = Annotated[
    str, typer.Argument(metavar="ID", help="As `list` shows it; its beginning is enough.", show_default=False)
]
Everything = Annotated[bool, typer.Option("--all", help="Also those that have ended.")]
Reason = Annotated[str | None, typer.Option("--reason", "-m", metavar="TEXT", help="Why; kept with it.", show_default=False)]


@command
def list_(connection: ConnectionOptions, output: Output, everything: Everything = False) -> None:  # noqa: FBT002 - Typer's option
    """List the proposals that wait: yours, and those of the groups that you are in."""
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        found = _listed(session, "all" if everything else "open")
    rows = [_row(one) for one in found]
    render.emit(found, output.structured, render.table(_HEAD, rows) if rows else [render.OutputLine("Nothing waits.", "dim")])


@command
def show(connection: ConnectionOptions, output: Output, name: ProposalArgument) -> None:
    """Show a proposal: what it changes, what its acceptance would do now, and what was said to it."""
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        body = _found(session, name)
        href = f"{_PROPOSALS}/{body['id']}"
        changes = session.client.get(f"{href}/changes").content["changes"]
        plan = session.client.body(f"{href}/plan") if body["waits_for"] else None
        lines = [*_about(body), *render.changes(changes, session.remote)]
        if plan is not None:
            lines += [*render.plan(plan), *_problems(plan)]
    render.emit({**body, "changes": changes, "plan": plan}, output.structured, lines)


@command
def accept(connection: ConnectionOptions, output: Output, name: ProposalArgument, reason: Reason = None) -> None:
    """Accept a proposal. The last acceptance that it needs puts it into effect, onto what runs now."""
    _decide(connection, output, name, "accept", reason)


@command
def reject(connection: ConnectionOptions, output: Output, name: ProposalArgument, reason: Reason = None) -> None:
    """Reject a proposal: it ends."""
    _decide(connection, output, name, "reject", reason)


@command
def withdraw(connection: ConnectionOptions, output: Output, name: ProposalArgument) -> None:
    """Withdraw a proposal of yours."""
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        found = _found(session, name)["id"]
        answer = session.client.write("DELETE", f"{_PROPOSALS}/{found}", about="The proposal").content
    render.emit({"id": found, **answer["body"]}, output.structured, [render.OutputLine("It is withdrawn.")])


def _decide(connection: ConnectionOptions, output: Output, name: str, decision: str, reason: str | None) -> None:
    from doorward.cli import render
    from doorward.cli.session import connected, need_login

    need_login("What is said to proposals")
    with connected(connection) as session:
        found = _found(session, name)["id"]
        order = {"decision": decision, "reason": reason}
        body = session.client.write("PUT", f"{_PROPOSALS}/{found}", order, about="The proposal").content["body"]
    render.emit({"id": found, **body}, output.structured, [_outcome(body)])


def _outcome(body: dict[str, Any]) -> OutputLine:
    from doorward.cli.render import OutputLine
    from doorward.cli.times import words

    if body["state"] == "done":
        seconds = body["confirm_seconds"]
        until = f", and goes back in {words(seconds)} unless {body['author']} confirms it" if seconds else ""
        return OutputLine(f"Revision {body['revision']} is in effect{until}.", "bold green")
    if body["state"] == "rejected":
        return OutputLine("It is rejected.")
    return OutputLine(f"Accepted; it still waits for {_waits_for(body)}.", "bold yellow")


def _listed(session: CommandSession, which: str) -> list[dict[str, Any]]:
    items = session.client.get(f"{_PROPOSALS}?state={which}").content["items"]
    return [{"id": item["key"], **item["body"]} for item in items]


def _found(session: CommandSession, name: str) -> dict[str, Any]:
    """Return the one proposal whose id begins like this. Raises CommandError."""
    found = [one for one in _listed(session, "all") if name and one["id"].startswith(name)]
    if len(found) != 1:
        raise CommandError(f"There is no proposal {name}." if not found else f"{len(found)} proposals begin with {name}.")
    return found[0]


def _row(one: dict[str, Any]) -> list[str]:
    from doorward.cli.render import local_time

    message = (one["commit_message"] or "").partition("\n")[0]
    return [one["id"], one["author"], one["state"], local_time(one["created"]), _waits_for(one) or "-", message]


def _waits_for(one: dict[str, Any]) -> str:
    return ", ".join(
        f"{group['group']} ({len(group['accepted'])} of {group['required']})"
        for group in one["waits_for"]
        if len(group["accepted"]) < group["required"]
    )


def _about(one: dict[str, Any]) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine, local_time

    yield OutputLine(f"Proposal:  {one['id']}, {one['state']}", "bold")
    yield OutputLine(f"Author:    {one['author']}, {local_time(one['created'])}")
    if one["commit_message"]:
        yield OutputLine(f"Message:   {' '.join(one['commit_message'].split())}")
    if waits_for := _waits_for(one):
        yield OutputLine(f"Waits for: {waits_for}, until {local_time(one['expires'])}")
    for said in one["decisions"]:
        why = f": {' '.join(said['reason'].split())}" if said["reason"] else ""
        void = " (void)" if said["void"] else ""
        yield OutputLine(f"{said['decision'].capitalize()}ed:  {said['user']}, {local_time(said['time'])}{void}{why}")
    if one["error"]:
        yield OutputLine(f"Reason:    {one['error']['reason']}", "yellow")
    if one["revision"]:
        yield OutputLine(f"Revision:  {one['revision']}")


def _problems(plan: dict[str, Any]) -> Iterator[OutputLine]:
    from doorward.cli.failures import problem_line
    from doorward.cli.render import OutputLine

    for problem in plan["problems"]:
        yield OutputLine(problem_line(problem["path"], problem["pointer"], problem["message"]), "red")
    for path in plan["conflicts"]:
        yield OutputLine(problem_line(path, "", "somebody else changed it since it was proposed."), "red")


_COMMANDS: dict[str, Callable[..., None]] = {
    "list": list_, "show": show, "accept": accept, "reject": reject, "withdraw": withdraw,
}  # fmt: skip
for _name, _function in _COMMANDS.items():
    register(app, _name, _function)
