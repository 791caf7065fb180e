"""``doorward setup``: the first settings of a node, asked one by one."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.failures import CommandError, Unreachable, Usage, explained
from doorward.cli.options import ConnectionOptions, command
from doorward.cli.questions import QUESTIONS, MemberAnswers, MemberQuestion
from doorward.client.errors import ApiRefusedError, UnreachableError

if TYPE_CHECKING:
    from doorward.cli.target import CommandTarget
    from doorward.client.blocking import Client

_SETUP = "/api/setup"
_LOOK_SECONDS = 0.5
_CODE = "setup-code"

AnswersFile = Annotated[
    Path | None,
    typer.Option(
        "--answers", metavar="FILE", show_default=False,
        help="File with all answers, as POST /api/setup takes them; - for standard input. Without: they are asked for.",
    ),
]  # fmt: skip
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether to go on.")]


@command
def setup(connection: ConnectionOptions, answers: AnswersFile = None, yes: Yes = False) -> None:  # noqa: FBT002 - Typer's option
    """Give a node that was started with `serve --setup wizard` its first settings.

    Nothing changes before all of them are there and fit; what does not is asked for again. The one-time code that such a start
    shows is taken from DOORWARD_SETUP_CODE, else read in the state directory of the node on this machine, else asked for.
    """
    from doorward.cli import terminal
    from doorward.cli.render import OutputLine, show
    from doorward.cli.session import opened
    from doorward.cli.target import resolved

    if answers is None and not terminal.present():
        raise Usage("There is no terminal to ask on: give --answers.")
    given = None if answers is None else _read(answers)
    target = resolved(connection)
    with opened(target) as client:
        _await(client)
        code = _code(target)
        if given is not None:
            _agreed(yes, given)
            _send(client, given, code)
        else:
            _asked(client, code, yes=yes)
    show([OutputLine("The node is set up; log in as admin with the new password.", "bold green")])


def _await(client: Client) -> None:
    """Wait until the node takes its first settings. Raises Failure where it has them."""
    while (status := client.get(_SETUP).content["status"]) == "booting":
        time.sleep(_LOOK_SECONDS)
    if status != "uninitialized":
        raise CommandError("The node has its first settings already; `doorward set` and `doorward edit` change them.")


def _code(target: CommandTarget) -> str | None:
    """Return the one-time code; None where the node on this machine wants none."""
    from doorward.cli import terminal

    if given := os.environ.get("DOORWARD_SETUP_CODE"):
        return given
    if target.node is not None and target.node.url == target.url:
        return target.node.secret(_CODE) if target.node.file(_CODE) else None
    if not terminal.present():
        return None
    return terminal.ask("One-time code, as the start of the node showed it (empty: it showed none)") or None


def _asked(client: Client, code: str | None, *, yes: bool) -> None:
    """Ask for everything, then again for what was refused, until it is in effect."""
    from doorward.cli.render import OutputLine, show
    from doorward.tree.plaintext import plain

    answers = MemberAnswers()
    again: set[str] | None = None
    while True:
        for question in QUESTIONS:
            if again is None or question.pointer in again:
                answers.ask(question)
        show([OutputLine("")] if again is None else [])
        _agreed(yes, answers.body())
        try:
            _send(client, answers.body(), code)
        except ApiRefusedError as refused:
            again = {question.pointer for question in QUESTIONS if _is_about(refused, question)}
            if not again:
                raise
            for line in explained(refused):
                typer.secho(plain(line), err=True, fg=typer.colors.RED)
        else:
            return


def _is_about(refused: ApiRefusedError, question: MemberQuestion) -> bool:
    return any(pointer == question.pointer or pointer.startswith(f"{question.pointer}/") for pointer in refused.pointers)


def _agreed(yes: bool, body: dict[str, Any]) -> None:  # noqa: FBT001 - an answer
    """Show what would be sent and ask. Raises Exit, or Usage where nobody can be asked."""
    from doorward.cli import terminal
    from doorward.cli.questions import shown
    from doorward.cli.render import OutputLine, show
    from doorward.cli.yamltext import dump

    show(OutputLine(f"  {line}") for line in dump(shown(body)).splitlines())
    if yes:
        return
    if not terminal.present():
        raise Usage("Nothing was set up. There is no terminal to ask on: give --yes.")
    if not terminal.agrees("Set the node up like this?"):
        show([OutputLine("Nothing was set up.")])
        raise typer.Exit(1)


def _send(client: Client, body: dict[str, Any], code: str | None) -> None:
    try:
        client.set_up(_SETUP, body, code)
    except UnreachableError:
        if "network" not in body:
            raise
        address = str(body["network"]["initial_address"]).partition("/")[0]
        raise Unreachable(
            f"The answer got lost, as the address of the node may have changed; look at https://{address}."
        ) from None


def _read(file: Path) -> dict[str, Any]:
    """Return the answers of a file; a password may be described as elsewhere. Raises Usage."""
    from doorward.cli.outside import NotFoundError, Outside, beside, body, meant
    from doorward.cli.values import read_file, read_input
    from doorward.cli.yamltext import NotReadableError, load

    standard = str(file) == "-"
    try:
        found = load(read_input() if standard else read_file(file))
        if not isinstance(found, dict):
            raise Usage(f"{file}: must be a mapping, as POST /api/setup takes it.")
        administration = found.get("administration")
        password = administration.get("admin_password") if isinstance(administration, dict) else None
        if isinstance(administration, dict) and isinstance(password, dict) and meant(password):
            described = beside(password, Path() if standard else file.parent)
            administration["admin_password"] = body(Outside("/api/configuration/passwords", described))["plain"]
    except (NotReadableError, NotFoundError) as error:
        raise Usage(f"{file}: {error}") from None
    return found
