"""Does things to copies of a node whose disk fails on order, each in a process of its own; tells what came of them.

``python -m tests.proof.failing_records DIRECTORY STEP``, under the shim. It prints a line of JSON for each fault of each deed.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from doorward.access.approving import Approving
from doorward.backup.archive import prepare
from doorward.backup.node import NodeView
from doorward.backup.restore.checking import check
from doorward.backup.restore.request import RestoreRequest
from doorward.backup.restore.service import carry_out
from doorward.backup.signing import NodeSigningKeys
from doorward.cluster.keys import NodeKey
from doorward.host.errors import HostError
from doorward.host.machine import Machine
from doorward.store.database import UndecidedError
from doorward.store.port import StoreDamagedError
from doorward.store.rotation import rotate
from doorward.store.vault import VaultError
from doorward.transaction.commits import CommitService
from doorward.transaction.pipeline import ApplyFailed
from doorward.transaction.queue import CommitQueue
from doorward.transaction.startup import node_id
from tests.proof.faults import FAULTS, Fault
from tests.proof.observed import Told, observe
from tests.proof.shim import Orders
from tests.support.approval_rig import ApprovalRig, nobody_objects
from tests.unit.backup.parts import Site
from tests.unit.transaction.rig import ZONE, Rig

REFUSED = (ApplyFailed, sqlite3.Error, OSError, HostError, VaultError, StoreDamagedError)
"""How something is refused that the disk does not take."""
BEYOND = 500
"""More changes of files than anything here makes."""
Deed = Callable[[], object]


def accepting(directory: Path) -> Deed:
    """Return what accepts the proposal of a node."""
    rig = Rig(directory).started()
    approving = Approving(CommitService(rig.pipeline, CommitQueue(), rig.confirmations))
    [proposal] = approving.proposals.all()
    eve = next(key for key, one in rig.pipeline.running.snapshot.objects(USERS).items() if one.value["name"] == "eve")
    return lambda: approving.decide(proposal.id, eve, "accept", None, nobody_objects)


def restoring(directory: Path) -> Deed:
    """Return what makes a node the one in the archive that lies beside it, the key of its channel too."""
    rig = Rig(directory).started()
    node = NodeView(rig.pipeline, directory, node_id(rig.store), Machine(), NodeSigningKeys(directory, rig.store))
    signer = (directory.parent / "signer").read_text()
    request = RestoreRequest("admin", "192.0.2.9", scope="system", accept_signer=signer, take_over=True)
    checked = check(node, request, directory.parent / "archive")
    assert checked.passed, checked.checks
    return lambda: carry_out(node, request, checked, "")


def rotating(directory: Path) -> Deed:
    """Return what gives a node another data key."""
    return lambda: rotate(directory)


USERS = "/api/configuration/aaa/local_database/users"
DEEDS: dict[str, tuple[str, Callable[[Path], Deed], bool]] = {
    "accept": ("office", accepting, True),
    "restore": ("fresh", restoring, True),
    "rotate": ("office", rotating, False),
}
"""On which node, and whether an error means that nothing has happened."""


def made(directory: Path) -> None:
    """Make the nodes, and an archive."""
    (directory / "office").mkdir()
    office = ApprovalRig(directory / "office", "datetime")
    office.proposed((ZONE, "Europe/Budapest"))
    office.close()
    site = Site(directory / "site")
    NodeKey.at(site.directory, node_id(site.rig.store))
    site.rig.committed((ZONE, "Asia/Tokyo"))
    shutil.copy(prepare(site.node, site.spool).archive, directory / "archive")
    (directory / "signer").write_text(site.node.signing.fingerprint)
    site.rig.close()
    Site(directory / "fresh").rig.close()


def tried(directory: Path, prepare_: Callable[[Path], Deed], fault: Fault, after: int) -> str:
    """Do something in another process, whose disk fails from a change on. Return what was told of it, or what went wrong."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            deed, orders = prepare_(directory), Orders.of_this_process()
            with orders.failing(fault.kinds, fault.error, after=after, times=fault.times):
                try:
                    deed()
                    said = "done"
                except REFUSED as why:
                    said = "undecided" if isinstance(why, UndecidedError) or not getattr(why, "restored", True) else "refused"
            said = said if orders.failed else f"untouched {said}"
        except BaseException as error:  # noqa: BLE001 - told to the parent
            said = f"raised {error!r}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        said = told.read()
    os.waitpid(child, 0)
    return said


def main() -> None:
    root, step = Path(sys.argv[1]), int(sys.argv[2])
    made(root)
    copy = root / "copy"
    for name, (template, prepare_, is_atomic) in DEEDS.items():
        before = observe(root / template, after_a_cut=True)
        shutil.copytree(root / template, copy, symlinks=True)
        prepare_(copy)()
        known = Told(before, observe(copy, after_a_cut=True))
        shutil.rmtree(copy)
        for fault_name, fault in FAULTS.items():
            outcomes: Counter[str] = Counter()
            for after in range(0, BEYOND, step):
                shutil.copytree(root / template, copy, symlinks=True)
                said = tried(copy, prepare_, fault, after)
                outcomes[said] += 1
                known.check_alike(observe(copy, after_a_cut=True), said, is_atomic=is_atomic)
                shutil.rmtree(copy)
                if said == "untouched done":
                    break
            print(json.dumps({"deed": name, "fault": fault_name, **outcomes}), flush=True)  # noqa: T201 - it is the result


if __name__ == "__main__":
    main()
