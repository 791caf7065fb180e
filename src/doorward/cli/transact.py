"""One command, one transaction: write, show what would change, ask, commit."""

from __future__ import annotations

from collections.abc import Callable

import typer

from doorward.cli import render
from doorward.cli.client import TRANSACTION
from doorward.cli.failures import Failure, problem_line
from doorward.cli.options import Committing
from doorward.cli.render import Line, show
from doorward.cli.session import Session, terminal


def transact(session: Session, how: Committing, write: Callable[[], None]) -> None:
    """Open a transaction, write into it and commit it. What is not committed goes with the login session.

    Raises Failure where anything is refused; nothing has changed then.
    """
    client = session.client
    client.open()
    write()
    session.remote.forget()
    changes = client.changes()
    if not changes:
        show([*render.warnings(client.warnings), Line("Nothing to change.")])
        return
    plan = client.body(f"{TRANSACTION}/plan")
    show(render.changes(changes, session.remote))
    label = session.remote.label
    problems = [problem_line(label(found["path"]), found["pointer"], found["message"]) for found in plan["problems"]]
    problems += [problem_line(label(path), "", "somebody else changed it just now; look again.") for path in plan["conflicts"]]
    if problems:
        raise Failure(*problems)
    said = [*client.warnings, *(warning for warning in plan["warnings"] if warning not in client.warnings)]
    show(render.plan({**plan, "warnings": said}))
    if how.dry_run:
        show([Line("Nothing was committed: this was a dry run.", "dim")])
        return
    message = how.message
    if terminal() and not how.yes:
        if not typer.confirm("Commit?"):
            show([Line("Nothing was committed.")])
            raise typer.Exit(1)
        required = client.body(TRANSACTION)["commit_message"] == "required"
        if required and not message:
            message = typer.prompt("Why")
    client.warnings.clear()
    revision = client.commit(message)
    show(render.warnings(warning for warning in client.warnings if warning not in said))
    show([Line(f"Revision {revision} is in effect.", "bold green")])
