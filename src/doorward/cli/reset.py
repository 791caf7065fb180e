"""``doorward reset-password`` and ``reset-approval``: ways back in for whoever owns the state directory."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from doorward.access.passwords import LocalPasswords, common_passwords
from doorward.appliance.local_requests import (
    NotAnsweredError,
    RequestRefused,
    ResetApproval,
    ResetDone,
    ResetRequest,
    SessionsAdopted,
    ask,
)
from doorward.host.machine import Machine, MachineKind
from doorward.host.ntp_probe import Prober
from doorward.host.sandbox import sandbox
from doorward.host.system import system
from doorward.store.anchor import HistoryKey, HistoryKeyError
from doorward.store.lock import StateInUseError, locked
from doorward.store.port import StoreDamagedError
from doorward.store.rotation import DATABASE, KEY, settle
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault, VaultError
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.reset import NotResetError, reset_approval, reset_password
from doorward.transaction.secrets import SecretKeeping
from doorward.transaction.startup import read_running, whole_tree


def become_owner(state: Path) -> None:
    """Give up root for the owner of a state directory: what is written there stays theirs. Raises NotResetError."""
    found = _check_owner(state)
    if os.geteuid() == found.st_uid:
        return
    # What is loaded late is loaded now: the owner may not be allowed to read the program.
    whole_tree()
    common_passwords()
    codecs.lookup("ascii")
    os.setgroups([])
    os.setegid(found.st_gid)
    os.seteuid(found.st_uid)


def _check_owner(state: Path) -> os.stat_result:
    """Return whose a state directory is. Raises NotResetError where this is neither their process nor root's."""
    try:
        found = (state / DATABASE).stat(follow_symlinks=False)
    except OSError:
        raise NotResetError(f"{state} holds no state of Doorward that this user may use.") from None
    if os.geteuid() not in {0, found.st_uid}:
        raise NotResetError(f"{state} belongs to another user; only that user and root may do this.")
    return found


def reset(state: Path, machine: MachineKind, request: ResetRequest) -> int:
    """Do what is asked for, as a revision of its own; return the number of that. Raises NotResetError.

    The server of the state directory does it; where none runs, the state directory is worked on here, as its owner. Root asks as
    root: what has become another user is hidden from a server whose unit says ``ProtectProc=invisible``.
    """
    _check_owner(state)
    try:
        match ask(state, request):
            case ResetDone(revision):
                return revision
            case RequestRefused(reason):
                raise NotResetError(reason)
            case SessionsAdopted():
                raise NotResetError("The server answered something else.")
            case None:
                become_owner(state)
                return _reset_here(state, machine, request)
    except NotAnsweredError as why:
        raise NotResetError(str(why)) from None


def _reset_here(state: Path, machine: MachineKind, request: ResetRequest) -> int:
    try:
        with locked(state):
            settle(state)
            store = SqliteStore(state / DATABASE, vault := Vault.at(state / KEY, create=False), key=HistoryKey.at(state))
            try:
                pipeline = _pipeline(state, machine, store, vault)
                if isinstance(request, ResetApproval):
                    return reset_approval(pipeline)
                return reset_password(pipeline, request.password)
            finally:
                store.close()
    except StateInUseError as why:
        raise NotResetError(f"{why} It takes no requests yet; try again.") from None
    except (HistoryKeyError, VaultError, StoreDamagedError) as why:
        raise NotResetError(str(why)) from None


def _pipeline(state: Path, machine: MachineKind, store: SqliteStore, vault: Vault) -> Pipeline:
    tree = whole_tree()
    running, _ = read_running(tree, Machine(machine), store)
    host = sandbox(state) if machine == "sandbox" else system(state)
    return Pipeline(tree, store, host, SecretKeeping(tree, store, vault, LocalPasswords()), Prober(), running)
