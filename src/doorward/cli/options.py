"""Options that several commands share: each group is a dataclass, which ``command`` spreads into single parameters."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, get_args, get_type_hints

import typer

from doorward.cli.failures import CommandError, Usage, failure_of
from doorward.cli.times import seconds
from doorward.client.errors import ClientError
from doorward.tree.plaintext import plain

_CONNECTION = "Connection, the same for every command that talks to a node"


class Format(StrEnum):
    """How something is shown."""

    table = "table"
    yaml = "yaml"
    json = "json"


def _option(*names: str, text: str, metavar: str | None = None, panel: str | None = None) -> Any:
    return typer.Option(*names, help=text, metavar=metavar, show_default=False, rich_help_panel=panel)


def _connection(name: str, metavar: str, text: str) -> Any:
    return _option(name, text=text, metavar=metavar, panel=_CONNECTION)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """Which server to talk to, and as whom, where a command says so itself; ``target`` completes it.

    There is no option that switches the check of the server's identity off.
    """

    url: Annotated[
        str | None,
        _connection(
            "--url", "URL",
            "Address of the server (DOORWARD_URL). Without: the node that runs on this machine, else https://127.0.0.1:8443.",
        ),
    ] = None  # fmt: skip
    user: Annotated[str | None, _connection("--user", "NAME", "Account to log in with (DOORWARD_USER). Without: admin.")] = None
    password_file: Annotated[
        Path | None,
        _connection(
            "--password-file", "FILE",
            "File with the password (DOORWARD_PASSWORD_FILE); DOORWARD_PASSWORD holds the password itself. Without: the password"
            " of the first start where it can be read, else a prompt.",
        ),
    ] = None  # fmt: skip
    ca: Annotated[
        Path | None,
        _connection(
            "--ca", "FILE",
            "Certificates in PEM that the server may be signed with (DOORWARD_CA). Without: those of the system, and those of"
            " the node on this machine.",
        ),
    ] = None  # fmt: skip
    server_name: Annotated[
        str | None,
        _connection(
            "--server-name",
            "NAME",
            "Name or address that the certificate must be for, if not that of --url (DOORWARD_SERVER_NAME).",
        ),
    ] = None
    pin: Annotated[
        str | None,
        _connection(
            "--pin", "sha256//BASE64",
            "Digest of the server's public key, in place of certificates and names (DOORWARD_PIN).",
        ),
    ] = None  # fmt: skip
    state: Annotated[
        Path | None,
        _connection("--state", "DIR", "State directory of the node on this machine that is meant (DOORWARD_STATE)."),
    ] = None

    def over(self, other: Self) -> Self:
        """Return the options with those of ``other`` where they were not given."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return dataclasses.replace(other, **{name: value for name, value in given.items() if value is not None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """In which form to show something."""

    output: Annotated[
        Format | None,
        _option("--output", "-o", text="Form of what is shown; the default suits people.", metavar="json|yaml|table"),
    ] = None
    json: Annotated[bool, _option("--json", text="Short for -o json.")] = False

    @property
    def format(self) -> Format | None:
        """The form that was asked for. Raises Usage."""
        if self.json and self.output not in {None, Format.json}:
            raise Usage(f"--json and -o {self.output} exclude each other.")
        return Format.json if self.json else self.output

    @property
    def structured(self) -> Format | None:
        """The form for programs that was asked for, if any."""
        return None if self.format is Format.table else self.format


def _seconds(text: str) -> int:
    try:
        return seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asking:
    """How far to go with something that changes the node."""

    message: Annotated[str | None, _option("--message", "-m", text="Why; kept in the history.", metavar="TEXT")] = None
    yes: Annotated[
        bool, _option("--yes", "-y", text="Do not ask. Without a terminal nothing is changed unless this is given.")
    ] = False
    dry_run: Annotated[bool, _option("--dry-run", text="Show what would change, and change nothing.")] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trying(Asking):
    """How far to go with something that can go back by itself."""

    confirm: Annotated[
        int | None,
        typer.Option(
            "--confirm", parser=_seconds, metavar="5m", show_default=False,
            help="Go back by itself after this time (10s to 1h), unless `doorward confirm` comes before.",
        ),
    ] = None  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Committing(Trying, Output):
    """How far to go with a change of the configuration."""

    emergency: Annotated[
        bool,
        _option("--emergency", text="Do not wait for approval; for the group for emergencies, with --message."),
    ] = False
    stage: Annotated[bool, _option("--stage", text="Keep the change for `doorward commit` instead of committing it.")] = False
    exit_code: Annotated[bool, _option("--exit-code", text="With --dry-run: end with 2 where something would change.")] = False


_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function as Typer takes it, with the members of its dataclass parameters as options of their own.

    The options of the connection can be given before the command as well, where the help shows them. A Failure ends the program
    with its lines on standard error and its exit code.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, tuple[Any, list[str]]] = {}
    parameters = [_CONTEXT]
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints[name]
        if not dataclasses.is_dataclass(kind):
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[name] = kind, [member.name for member in dataclasses.fields(kind)]
        parameters += spread(kind, hidden=kind is ConnectionOptions)

    @functools.wraps(function)
    def run(context: typer.Context, **given: Any) -> None:
        before = context.find_object(ConnectionOptions) or ConnectionOptions()
        for name, (group, members) in groups.items():
            given[name] = group(**{member: given.pop(member) for member in members})
        with reported():
            for name, made in given.items():
                if isinstance(made, ConnectionOptions):
                    given[name] = made.over(before)
                elif isinstance(made, Output):
                    _ = made.format  # refused before anything is sent
            function(**given)

    del run.__wrapped__  # whoever follows it finds the parameters before they were spread
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def spread(kind: Any, *, hidden: bool = False) -> list[inspect.Parameter]:
    """Return the members of a group as parameters of a function."""
    kinds = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            member.name, inspect.Parameter.KEYWORD_ONLY, default=member.default,
            annotation=_hidden(kinds[member.name]) if hidden else kinds[member.name],
        )
        for member in dataclasses.fields(kind)
    ]  # fmt: skip


def _hidden(annotation: Any) -> Any:
    base, option = get_args(annotation)
    option = copy.copy(option)
    option.hidden = True
    return Annotated[base, option]


@contextmanager
def reported() -> Iterator[None]:
    """End the program where a block fails: the lines of the Failure on standard error, and its exit code."""
    try:
        yield
    except (CommandError, ClientError) as error:
        failure = failure_of(error)
        for line in failure.lines:
            typer.secho(plain(line), err=True, fg=typer.colors.RED)
        raise typer.Exit(failure.code) from None
    except BrokenPipeError:
        raise  # whoever read has enough
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter tries again at its end
        typer.secho(f"{error.filename or 'The output'} can't be written: {error.strerror}.", err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from None
