"""``doorward passwd``: a new password for oneself, or for somebody else."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.failures import CommandError, Usage, failure_of
from doorward.cli.options import Committing, ConnectionOptions, command
from doorward.client.errors import ApiRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from doorward.cli.session import CommandSession

_USERS = "/api/configuration/aaa/local_database/users"
_SETTINGS = "/api/configuration/aaa/settings"
_NOBODY = "There is no terminal to ask for the new password on: give --new-password-file."
_PASSWORDS = "/api/configuration/passwords"

UserArgument = Annotated[
    str, typer.Argument(metavar="USER", help="Account, by name or key; without: the one that logs in.", show_default=False)
]
NewPassword = Annotated[
    Path | None,
    typer.Option(
        "--new-password-file", metavar="FILE", help="File with the new password, - for standard input; without: it is asked for.",
        show_default=False,
    ),
]  # fmt: skip


@command
def passwd(
    connection: ConnectionOptions, how: Committing, account: UserArgument = "", new_password_file: NewPassword = None
) -> None:
    """Give an account a new password. All its login sessions end.

    The password is asked for twice, or read from a file, never taken from an argument.
    """
    from doorward.cli import terminal
    from doorward.cli.render import OutputLine, show
    from doorward.cli.session import connected, need_login
    from doorward.cli.transact import agreed

    if how.stage:
        raise Usage("A password is not staged: it would lie in a file.")
    if new_password_file is None and not terminal.present():
        raise Usage(_NOBODY)
    if not account:
        need_login("A new password of one's own")
    with connected(connection) as session:
        name = account or session.target.user
        is_own = not account and not how.dry_run and how.confirm is None and how.message is None
        change: Callable[[str], None]
        if is_own:
            change = partial(_change_own, session, how)
        else:
            asked = how if new_password_file is not None else replace(how, yes=True)  # whoever types it twice means it
            change = partial(_change, session, asked, _key(session, name))
        first = session.target.first_password if name == session.target.user else None
        if new_password_file is not None:
            text = _from(new_password_file)
            if is_own:
                agreed(session, how, "Give your account the password in the file?", "Nothing was changed.")
            change(text)
        else:
            show(_policy(session), err=True)
            _asked(change, name)
    if first is not None and not how.dry_run and not how.confirm:
        first.unlink(missing_ok=True)
        show([OutputLine(f"{first} is removed: it held the old password.")])


def new_password(name: str, file: Path | None) -> str:
    """Return a new password: that of a file, or what is typed twice. Raises Usage."""
    from doorward.cli import terminal

    if file is not None:
        return _from(file)
    if not terminal.present():
        raise Usage(_NOBODY)
    return terminal.secret(f"New password of {name}", twice=True)


def _asked(change: Callable[[str], None], name: str) -> None:
    """Ask until the password is taken; the reasons against one are shown."""
    from doorward.cli import terminal
    from doorward.tree.plaintext import plain

    while True:
        typed = terminal.secret(f"New password of {name}", twice=True)
        try:
            change(typed)
        except CommandError as failure:
            for line in failure.lines:
                typer.secho(plain(line), err=True, fg=typer.colors.RED)
        else:
            return


def _change(session: CommandSession, how: Committing, key: str, text: str) -> None:
    from doorward.cli.transact import transact

    def write() -> None:
        made = session.client.write("POST", _PASSWORDS, {"plain": text}, about="The new password").content["key"]
        body = session.client.body(f"{_USERS}/{key}")
        session.client.write("PUT", f"{_USERS}/{key}", {**body, "password": made})

    transact(session, how, write)


def _change_own(session: CommandSession, how: Committing, text: str) -> None:
    """Change the password of whoever logged in, which takes no right to accounts."""
    from doorward.cli.render import OutputLine, emit

    try:
        revision = session.client.change_password(text)
    except ApiRefusedError as refused:
        if refused.pointers and all(pointer == "/new" for pointer in refused.pointers):  # another one may be taken
            raise failure_of(refused) from None
        raise
    told = f"Your password is a new one, with revision {revision}. Your other login sessions and your tokens ended."
    emit({"revision": revision}, how.structured, [OutputLine(told, "green")])


def _key(session: CommandSession, name: str) -> str:
    """Return the key of an account. Raises Usage."""
    from doorward.cli.naming import key_named
    from doorward.configuration.aaa.local_database import users

    found = key_named(users.NODE, session.remote.objects(_USERS), name)
    if found is None:
        raise Usage(f"There is no account {name}.")
    return found


def _policy(session: CommandSession) -> list[Any]:
    """Say what passwords have to be like, where the account may read it."""
    from doorward.cli.render import OutputLine

    try:
        policy = session.client.body(_SETTINGS)["password_policy"]
    except ApiRefusedError:
        return []
    if not policy["enabled"]:
        return []
    classes = f" with at least {policy['minimum_classes']} kinds of characters" if policy.get("minimum_classes", 1) > 1 else ""
    return [OutputLine(f"At least {policy['minimum_length']} characters{classes}.", "dim")]


def _from(path: Path) -> str:
    from doorward.cli.target import password_of
    from doorward.cli.values import read_input

    if str(path) != "-":
        return password_of(path)
    if sys.stdin.isatty():
        raise Usage("--new-password-file - reads standard input, which is the terminal here: leave it out to be asked.")
    return read_input().rstrip("\r\n")
