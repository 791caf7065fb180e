"""Options that several commands share: each group is a dataclass, which ``command`` spreads into single parameters."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from doorward.cli.failures import Failure
from doorward.tree.plaintext import plain

_CONNECTION = "Connection"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Which server to talk to, and as whom. There is no option that switches the check of its certificate off."""

    url: Annotated[str, typer.Option(envvar="DOORWARD_URL", help="Address of the server.", rich_help_panel=_CONNECTION)] = (
        "https://127.0.0.1:8443"
    )
    user: Annotated[str, typer.Option(envvar="DOORWARD_USER", help="Account to log in with.", rich_help_panel=_CONNECTION)] = (
        "admin"
    )
    password_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the password, unless DOORWARD_PASSWORD holds it. Without both: the password of the first start"
            " where it can be read, else a prompt.",
            show_default=False,
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    ca: Annotated[
        Path | None,
        typer.Option(
            envvar="DOORWARD_CA",
            help="Certificates in PEM that the server may be signed with. Without: those of the system, and the certificate"
            " of the server on this machine.",
            show_default=False,
            rich_help_panel=_CONNECTION,
        ),
    ] = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Committing:
    """How far to go with a change."""

    message: Annotated[str | None, typer.Option("--message", "-m", help="Why; kept in the history.", show_default=False)] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Commit without asking; nobody is asked away from a terminal.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, then discard it.")] = False


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function as Typer takes it, with the members of its dataclass parameters as options of their own.

    A Failure ends the program with its lines on standard error and its exit code.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, tuple[Any, list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints[name]
        if not dataclasses.is_dataclass(kind):
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        members, kinds = dataclasses.fields(kind), get_type_hints(kind, include_extras=True)
        groups[name] = kind, [member.name for member in members]
        parameters += [
            inspect.Parameter(member.name, inspect.Parameter.KEYWORD_ONLY, default=member.default, annotation=kinds[member.name])
            for member in members
        ]

    @functools.wraps(function)
    def run(**given: Any) -> None:
        for name, (group, members) in groups.items():
            given[name] = group(**{member: given.pop(member) for member in members})
        try:
            function(**given)
        except Failure as failure:
            for line in failure.lines:
                typer.secho(plain(line), err=True, fg=typer.colors.RED)
            raise typer.Exit(failure.code) from None
        except BrokenPipeError:
            raise  # whoever read has enough
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter tries again at its end
            typer.secho(f"{error.filename or 'The output'} can't be written: {error.strerror}.", err=True, fg=typer.colors.RED)
            raise typer.Exit(1) from None

    del run.__wrapped__  # whoever follows it finds the parameters before they were spread
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
