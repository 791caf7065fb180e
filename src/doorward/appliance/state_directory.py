"""What everything stands on: the state directory. At the first start it is made here."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from doorward.access.passwords import LocalPasswords
from doorward.appliance.options import NewerStateError, Options, StartError
from doorward.configuration import passwords
from doorward.configuration.aaa.local_database import users
from doorward.configuration.network._addresses import listening
from doorward.host.files import DiskFiles, FileEntry
from doorward.host.machine import Machine
from doorward.host.nics import WILDCARDS
from doorward.host.notify import is_journal
from doorward.listening.listeners import Listeners
from doorward.listening.sockets import bind
from doorward.sessions.catalogue.sqlite import tables
from doorward.store.anchor import HistoryKey
from doorward.store.format import FORMATS
from doorward.store.migration import NewerFormatError
from doorward.store.rotation import settle
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.transaction.startup import first_revision, whole_tree
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody
from doorward.tree.registry import Tree
from doorward.tree.validation import check

_STANDARD_OUTPUT = 1


class StateDirectory(Struct, frozen=True):
    """What can be configured, the machine as the defaults see it, and what is kept of a node."""

    tree: Tree
    machine: Machine
    vault: Vault
    store: SqliteStore
    is_fresh: bool = False
    """Whether this is the first start."""


def opened(options: Options, listeners: Listeners, say: Callable[[str], None]) -> StateDirectory:
    """Open the state directory. At the first start a listener may be bound already. Raises as ``Appliance`` does."""
    _refuse_newer(options.state)
    tree, state = whole_tree(), options.state
    fresh = not (state / "doorward.db").exists()
    settle(state)
    vault = Vault.at(state / "data.key", create=fresh)
    store = SqliteStore(state / "doorward.db", vault, key=HistoryKey.at(state))
    if store.head() is not None:
        # Port 0 is any port at the first start; later the configuration alone says where to listen.
        return StateDirectory(tree, Machine(options.machine, options.host, options.port or Machine().port), vault, store)
    directory = StateDirectory(tree, _bound(options, listeners), vault, store, is_fresh=True)
    _first_start(directory, options, say)
    return directory


def _refuse_newer(state: Path) -> None:
    """Raise NewerStateError where a newer release has used a state directory, before anything in it is written."""
    try:
        FORMATS.refuse_newer(state / "doorward.db")
        tables.FORMATS.refuse_newer(state / tables.FILE)
    except NewerFormatError as error:
        raise NewerStateError(str(error)) from error


def _bound(options: Options, listeners: Listeners) -> Machine:
    """Bind what ``--listen`` says, ahead of the first revision: only then the port is known. Raises StartError."""
    try:
        bound = bind(options.host, options.port)
    except OSError as error:
        raise StartError(f"Can't listen on {options.host}:{options.port}: {error.strerror}.") from error
    host, port = bound.getsockname()[:2]
    machine = Machine(options.machine, host, port)
    if host in WILDCARDS:
        bound.close()
    else:
        listeners.adopt(bound)
    if not listening(machine):
        raise StartError(f"No network interface has the address {host}; say with --listen where to serve.")
    return machine


def _first_start(directory: StateDirectory, options: Options, say: Callable[[str], None]) -> None:
    """Write revision 1: the defaults, and the password of ``admin`` unless the wizard asks for it."""
    if options.wizard:
        if options.admin_password is not None:
            raise StartError("The setup wizard asks for the password of admin; don't set DOORWARD_ADMIN_PASSWORD.")
        _first_revision(directory, None)
        return
    if options.admin_password is not None:
        _check_password(directory, options.admin_password)
    password = options.admin_password or secrets.token_urlsafe(15)
    path = options.state / "initial-admin-password"
    if options.admin_password is None:  # kept before it counts: a crash in between must not lock everybody out
        DiskFiles(options.state).write(f"/{path.name}", FileEntry(f"{password}\n".encode(), 0o600))
    _first_revision(directory, password)
    if options.admin_password is None:
        # The journal would keep it, for everybody who may read logs.
        told = f"that stands in {path}" if is_journal(_STANDARD_OUTPUT) else f"{password} (kept in {path})"
        say(f"First start: log in as admin with the password {told}.")


def _check_password(directory: StateDirectory, password: str) -> None:
    """Raise StartError with everything that the form of passwords and the policy have against a first password."""
    defaults = directory.tree.defaults(directory.machine)
    try:
        check(passwords.NODE.adapter, {"plain": password})
        problems = tuple(LocalPasswords().problems(defaults, Place(users.PATH, users.ADMIN), password))
    except InvalidBody as refused:
        problems = tuple(refused.problems)
    if problems:
        found = " ".join(problem.message for problem in problems)
        raise StartError(f"DOORWARD_ADMIN_PASSWORD can't be the password of admin: {found}")


def _first_revision(directory: StateDirectory, password: str | None) -> None:
    tree, machine, store, vault = directory.tree, directory.machine, directory.store, directory.vault
    first_revision(tree, machine, store, vault, LocalPasswords(), password=password, admin=users.ADMIN)
