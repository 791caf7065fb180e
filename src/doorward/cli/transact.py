"""One command, one transaction: write, show what would change, ask, commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import typer

from doorward.cli import render, stage, terminal
from doorward.cli.edits import CommandEdit, perform
from doorward.cli.failures import CommandError, Usage, problem_line
from doorward.cli.options import Asking, Committing, Format
from doorward.cli.render import OutputLine, show
from doorward.cli.session import CommandSession
from doorward.cli.times import words
from doorward.client.exchanges import TRANSACTION
from doorward.client.messages import Committed

CHANGED = 2
"""The exit code for "something would change", where it was asked for."""


def carry_out(session: CommandSession, how: Committing, edit: CommandEdit, match: str = "") -> None:
    """Commit one change, or stage it."""
    if how.stage:
        _stage(session, how, edit, match)
        return
    transact(session, how, lambda: perform(session, edit, match))


def transact(
    session: CommandSession,
    how: Committing,
    write: Callable[[], Iterable[OutputLine] | None],
    changed: Callable[[Any], None] | None = None,
) -> int | None:
    """Open a transaction, write into it and commit it; return the revision, None where there is none yet.

    What is not committed goes with the login session.

    ``write`` may return what is worth saying, ``changed`` gets the changes before anybody is asked. Raises Failure where anything
    is refused; nothing has changed then.
    """
    if how.stage:
        raise Usage("This can't be staged; commit it by itself.")
    client = session.client
    found = prepare(session, write, how.structured)
    if found is None:
        return None
    if changed is not None:
        changed(found["changes"])
    if how.dry_run:
        finished(how, found, OutputLine("Nothing was committed: this was a dry run.", "dim"))
        raise typer.Exit(CHANGED if how.exit_code else 0)
    message = agreed(session, how, "Commit?", "Nothing was committed.")
    client.warnings.clear()
    done = client.commit(message, how.confirm, emergency=how.emergency)
    said = found["plan"]["warnings"]
    late = [warning for warning in client.warnings if warning not in said]
    show(render.warnings(late), err=how.structured is not None)
    if done.proposal:
        finished(how, {**found, "proposal": done.proposal, "waits_for": [*done.waits_for]}, waiting(done))
        return None
    revision = done.revision
    until = f", and goes back in {words(how.confirm)} unless you run `doorward confirm`" if how.confirm else ""
    finished(how, {**found, "revision": revision}, OutputLine(f"Revision {revision} is in effect{until}.", "bold green"))
    return revision


def waiting(done: Committed) -> OutputLine:
    """Say that a commit waits for somebody."""
    name = done.proposal.rpartition("/")[2]
    return OutputLine(f"It waits for {' and '.join(done.waits_for)}: `doorward proposals show {name}`.", "bold yellow")


def prepare(
    session: CommandSession, write: Callable[[], Iterable[OutputLine] | None], form: Format | None, *, brief: bool = False
) -> dict[str, Any] | None:
    """Write into a new transaction and show what a commit would do; None where nothing changes. Raises Failure.

    ``brief``: without the changes themselves.
    """
    client, aside = session.client, form is not None
    client.open()
    show(write() or (), err=aside)
    session.remote.forget()
    changes = client.changes()
    if not changes:
        show([*render.warnings(client.warnings), OutputLine("Nothing to change.")], err=aside)
        if form is not None:
            render.emit({"changes": [], "plan": None, "revision": None}, form)
        return None
    plan = client.body(f"{TRANSACTION}/plan")
    if not brief:
        show(render.changes(changes, session.remote), err=aside)
    label = session.remote.label
    problems = [problem_line(label(found["path"]), found["pointer"], found["message"]) for found in plan["problems"]]
    problems += [problem_line(label(path), "", "somebody else changed it just now; look again.") for path in plan["conflicts"]]
    if problems:
        raise CommandError(*problems)
    plan = {**plan, "warnings": [*client.warnings, *(warning for warning in plan["warnings"] if warning not in client.warnings)]}
    show(render.plan(plan), err=aside)
    return {"changes": changes, "plan": plan, "revision": None}


def finished(how: Committing, found: dict[str, Any], line: OutputLine) -> None:
    """Say how it ended."""
    if how.structured is not None:
        render.emit(found, how.structured)
    else:
        show([line])


def agreed(session: CommandSession, how: Asking, question: str, otherwise: str) -> str | None:
    """Ask whether to go on; return the commit message. Raises Exit where the answer is no, Usage where nobody can be asked."""
    message = how.message
    if how.yes:
        return message
    if not terminal.present():
        raise Usage(f"{otherwise} There is no terminal to ask on: give --yes.")
    if not terminal.agrees(question):
        show([OutputLine(otherwise)], err=True)
        raise typer.Exit(1)
    if not message and session.client.body(TRANSACTION)["commit_message"] == "required":
        message = terminal.ask("Why")
    return message


def _stage(session: CommandSession, how: Committing, edit: CommandEdit, match: str) -> None:
    """Add a change to those that are staged, if all of them together could be committed."""
    if how.message or how.confirm or how.dry_run:
        raise Usage("--message, --confirm and --dry-run go with `doorward commit`, not with --stage.")
    whole = stage.staged(session.target).with_edit(edit)
    found = prepare(session, lambda: whole.write(session, match), how.structured)
    if found is None:
        whole.discard()
        return
    whole.save(found["changes"])
    number = len(whole.edits)
    finished(
        how,
        found,
        OutputLine(f"{number} change{'' if number == 1 else 's'} staged; `doorward commit` makes them one revision.", "bold"),
    )
