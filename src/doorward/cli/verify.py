"""``doorward verify``: looks at a state directory without changing anything."""

from __future__ import annotations

from pathlib import Path

from doorward.host.machine import Machine, MachineKind
from doorward.host.resources import Job, Listener
from doorward.host.sandbox import sandbox
from doorward.host.system import system
from doorward.store.port import StoreDamaged
from doorward.store.rotation import unsettled
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault, VaultError
from doorward.transaction.startup import read_running, whole_tree


def findings(state: Path, machine: MachineKind) -> list[str]:
    """Return what is wrong with the history or with the host, a sentence each."""
    database = state / "doorward.db"
    if not database.exists():
        return [f"{state} holds no state of Doorward."]
    if unsettled(state):
        return ["A change of the data key is unfinished; the next start, or doorward rotate-key, sees to it."]
    try:
        store = SqliteStore(database, Vault.at(state / "data.key", create=False))
    except (VaultError, StoreDamaged) as error:
        return [str(error)]
    try:
        found = store.check()
        if found:
            return found
        if store.intent() is not None:
            found.append("A commit is unfinished; the next start undoes it.")
        tree = whole_tree()
        running = read_running(tree, Machine(machine), store)[0].snapshot
        host = sandbox(state) if machine == "sandbox" else system(state)
        asked = [resource for endpoint in tree.rendering if endpoint.node.render for resource in endpoint.node.render(running)]
        # Jobs and listeners live and die with the server.
        desired = [resource for resource in asked if not isinstance(resource, Job | Listener)]
        # So do the daemons of a sandbox; none of them is a child of this command.
        elsewhere = {"daemon_down"} if machine == "sandbox" else set()
        return found + [warning.message for warning in host.drift(desired) if warning.code not in elsewhere]
    finally:
        store.close()
