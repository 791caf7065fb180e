"""``doorward reset-password``: a way back in for whoever owns the state directory, while no server has it."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from doorward.access.passwords import LocalPasswords, common_passwords
from doorward.configuration import passwords
from doorward.configuration.aaa.local_database import users
from doorward.host.machine import Machine, MachineKind
from doorward.host.ntp_probe import Prober
from doorward.host.sandbox import sandbox
from doorward.host.system import system
from doorward.store.lock import StateInUseError, locked
from doorward.store.port import StoreDamagedError
from doorward.store.rotation import DATABASE, KEY, settle
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault, VaultError
from doorward.transaction import writing
from doorward.transaction.candidate import Candidate
from doorward.transaction.pipeline import SYSTEM, ApplyFailed, Order, Pipeline
from doorward.transaction.secrets import SecretKeeping
from doorward.transaction.setup import awaited
from doorward.transaction.startup import read_running, whole_tree
from doorward.tree.problems import InvalidBody, SemanticError

MESSAGE = "The password of admin was reset on the machine."


class NotResetError(Exception):
    """Why the password stays, in a sentence for the operator."""


def become_owner(state: Path) -> None:
    """Give up root for the owner of a state directory: what is written there stays theirs. Raises NotResetError."""
    try:
        found = (state / DATABASE).stat()
    except OSError:
        raise NotResetError(f"{state} holds no state of Doorward that this user may use.") from None
    if os.geteuid() == found.st_uid:
        return
    if os.geteuid() != 0:
        raise NotResetError(f"{state} belongs to another user; only that user and root may do this.")
    # What is loaded late is loaded now: the owner may not be allowed to read the program.
    whole_tree()
    common_passwords()
    codecs.lookup("ascii")
    os.setgroups([])
    os.setegid(found.st_gid)
    os.seteuid(found.st_uid)


def reset(state: Path, machine: MachineKind, text: str) -> int:
    """Give ``admin`` a password, as a revision of its own; return the number of that. Raises NotResetError."""
    try:
        with locked(state):
            settle(state)
            store = SqliteStore(state / DATABASE, vault := Vault.at(state / KEY, create=False))
            try:
                return _committed(state, machine, store, vault, text)
            finally:
                store.close()
    except StateInUseError as why:
        raise NotResetError(
            f"{why} Stop it first, or let another administrator run `doorward passwd admin` on the running one."
        ) from None
    except (VaultError, StoreDamagedError) as why:
        raise NotResetError(str(why)) from None
    except (InvalidBody, SemanticError) as refused:
        raise NotResetError(" ".join(problem.message for problem in refused.problems)) from None
    except ApplyFailed as failed:
        raise NotResetError(f"{failed.reason}.") from None


def _committed(state: Path, machine: MachineKind, store: SqliteStore, vault: Vault, text: str) -> int:
    if store.intent() is not None or store.confirmation() is not None:
        raise NotResetError("A commit is unfinished or awaits its confirmation; start the server, and wait until it is over.")
    tree = whole_tree()
    running, _ = read_running(tree, Machine(machine), store)
    if awaited(running):
        raise NotResetError("The node awaits its first settings, which bring the password: `doorward setup`.")
    host = sandbox(state) if machine == "sandbox" else system(state)
    pipeline = Pipeline(tree, store, host, SecretKeeping(tree, store, vault, LocalPasswords()), Prober(), running)
    candidate = Candidate.on(running)
    key, _ = writing.create(candidate, tree[passwords.PATH], {"plain": text}, strict=True)
    writing.replace_body(candidate, tree[users.PATH], users.ADMIN, {"name": "admin", "password": key}, strict=True)
    pipeline.commit(candidate, Order(SYSTEM, "", MESSAGE))
    (state / "initial-admin-password").unlink(missing_ok=True)
    return pipeline.running.number
