"""``doorward edit``: a body in the editor, as YAML."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from doorward.cli.commands.arguments import PathArgument
from doorward.cli.failures import CommandError, Usage, failure_of
from doorward.cli.options import Committing, ConnectionOptions, command
from doorward.cli.values import read_file
from doorward.client.errors import ClientError

if TYPE_CHECKING:
    from doorward.cli.addresses import ResourceAddress
    from doorward.cli.session import CommandSession


@command
def edit(path: PathArgument, connection: ConnectionOptions, how: Committing) -> None:
    """Edit a setting or object in $EDITOR, then show the difference and commit it.

    What is refused comes back into the editor, with the reasons above it.
    """
    from doorward.cli.session import connected
    from doorward.cli.yamltext import dump
    from doorward.tree.changes import same

    with connected(connection) as session:
        address, shown, etag = _read(session, path)
    descriptor, name = tempfile.mkstemp(prefix="doorward-", suffix=".yaml")
    file, before = Path(name), dump(shown)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(f"# {address.href}\n# Lines like these are left out. Saved as it is, nothing changes.\n{before}")
    reasons: tuple[str, ...] = ()
    while True:
        text = _edited(file, reasons)
        try:
            value = _value(text)
            if same(value, shown):
                typer.echo("Nothing to change.")
            else:
                with connected(connection) as session:  # a new one: editing may have taken longer than a login session lasts
                    _commit(session, how, path, value, etag)
        except (CommandError, ClientError) as error:
            failure = failure_of(error)
            reasons = tuple(failure.lines)
            if not _again(reasons):
                ended = CommandError(*reasons, f"Your text is kept in {file}.")
                ended.code = failure.code
                raise ended from None
        except (typer.Exit, typer.Abort, KeyboardInterrupt):  # not wanted now, or a dry run
            typer.echo(f"Your text is kept in {file}.", err=how.structured is not None)
            raise
        else:
            file.unlink()
            return


def _read(session: CommandSession, path: str) -> tuple[ResourceAddress, Any, str]:
    """Return where the body is, what is shown of it, and the entity tag of the resource."""
    from doorward.cli.addresses import locate
    from doorward.cli.members import member
    from doorward.cli.naming import with_names
    from doorward.cli.render import ordered
    from doorward.tree.nodes import Valued

    address = locate(session.tree, session.remote, path)
    node = address.endpoint.node
    if not address.has_body or not isinstance(node, Valued):
        raise Usage("Only single values, lists and objects can be edited.")
    answer = session.client.get(address.href)
    body = with_names(node, answer.content["body"], session.remote)
    return address, ordered(member(body, address.member)), answer.etag


def _edited(file: Path, reasons: tuple[str, ...]) -> str:
    """Return what the editor made of the file."""
    if reasons:
        kept = [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if not line.startswith("# Refused: ")]
        file.write_text("".join([*(f"# Refused: {line}\n" for line in reasons), *kept]), encoding="utf-8")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(editor), str(file)], check=False).returncode
    except (OSError, ValueError) as error:  # ValueError: quotes without an end
        file.unlink()
        raise Usage(f"The editor {editor} can't be started: {getattr(error, 'strerror', None) or error}.") from None
    if code:
        raise CommandError(f"The editor ended with {code}; nothing was changed. Your text is kept in {file}.")
    return read_file(file)


def _value(text: str) -> Any:
    from doorward.cli.yamltext import NotReadableError, load

    try:
        return load(text)
    except NotReadableError as error:
        raise CommandError(str(error)) from None


def _commit(session: CommandSession, how: Committing, path: str, value: Any, etag: str) -> None:
    from doorward.cli.edits import CommandEdit
    from doorward.cli.transact import carry_out
    from doorward.client.errors import ApiRefusedError

    try:
        carry_out(session, how, CommandEdit("replace", path, value=value), etag)
    except ApiRefusedError as refused:
        if refused.type == "PreconditionFailed":
            raise CommandError("Somebody else changed it while you edited.") from None
        raise


def _again(reasons: tuple[str, ...]) -> bool:
    from doorward.cli import terminal
    from doorward.tree.plaintext import plain

    if not terminal.present():
        return False
    for line in reasons:
        typer.secho(plain(line), err=True, fg=typer.colors.RED)
    return terminal.agrees("Edit again?", default=True)
