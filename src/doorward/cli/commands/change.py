"""``doorward set``, ``add`` and ``remove``: one change, one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from doorward.cli.commands.arguments import PathArgument, ValueArgument
from doorward.cli.help import group, register
from doorward.cli.options import Committing, ConnectionOptions, command
from doorward.cli.values import text_of

if TYPE_CHECKING:
    from doorward.cli.edits import CommandEdit


@command
def set_(path: PathArgument, value: ValueArgument, connection: ConnectionOptions, how: Committing) -> None:
    """Replace a setting, an object, or one member of it.

    doorward set datetime/timezone Europe/Budapest

    doorward set management/webinterface.timeout 20 --confirm 5m
    """
    from doorward.cli.edits import CommandEdit

    _make(connection, how, CommandEdit("set", path, text_of(value)))


@command
def add(path: PathArgument, value: ValueArgument, connection: ConnectionOptions, how: Committing) -> None:
    """Append to a list, or make an object in a collection.

    doorward add datetime/ntp_servers '{selection: ip, value: 192.0.2.123}'

    doorward add aaa/local_database/users '{name: jane, password: {from_env: JANE_PASSWORD}}'
    """
    from doorward.cli.edits import CommandEdit

    _make(connection, how, CommandEdit("add", path, text_of(value)))


@command
def remove(path: PathArgument, connection: ConnectionOptions, how: Committing) -> None:
    """Remove an object, an element of a list, or an entry of an ordered map.

    doorward remove datetime/ntp_servers#0
    """
    from doorward.cli.edits import CommandEdit

    _make(connection, how, CommandEdit("remove", path))


def _make(connection: ConnectionOptions, how: Committing, edit: CommandEdit) -> None:
    from doorward.cli.session import connected
    from doorward.cli.transact import carry_out

    with connected(connection) as session:
        carry_out(session, how, edit)


@command
def stage_set(path: PathArgument, value: ValueArgument, connection: ConnectionOptions, how: Committing) -> None:
    """Stage what `doorward set` would do."""
    from doorward.cli.edits import CommandEdit

    _make(connection, replace(how, stage=True), CommandEdit("set", path, text_of(value)))


@command
def stage_add(path: PathArgument, value: ValueArgument, connection: ConnectionOptions, how: Committing) -> None:
    """Stage what `doorward add` would do."""
    from doorward.cli.edits import CommandEdit

    _make(connection, replace(how, stage=True), CommandEdit("add", path, text_of(value)))


@command
def stage_remove(path: PathArgument, connection: ConnectionOptions, how: Committing) -> None:
    """Stage what `doorward remove` would do."""
    from doorward.cli.edits import CommandEdit

    _make(connection, replace(how, stage=True), CommandEdit("remove", path))


stage = group("stage", "Gather changes for `doorward commit`: several edits, one revision.")
register(stage, "set", stage_set)
register(stage, "add", stage_add)
register(stage, "remove", stage_remove)
