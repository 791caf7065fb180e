"""What nodes do with their records and keys, all of it durable: recorded by the shim, and told in marks.

Proposals, trials, a change of the data key, restores of archives, and a node that joins a cluster and leaves it. The host is in
memory; what lies on the disk is real. ``python tests/proof/sites.py LOG tests.proof.power_records DIRECTORY LOG``
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from doorward.backup.archive import prepare
from doorward.backup.restore.checking import check
from doorward.backup.restore.request import RestoreRequest
from doorward.backup.restore.service import carry_out
from doorward.cluster.keys import NodeKey
from doorward.host.files import DiskFiles, FileEntry, sync_directory
from doorward.membership import join_request
from doorward.store.lock import locked
from doorward.store.rotation import rotate
from doorward.transaction.confirmation import Confirmations
from doorward.transaction.startup import node_id
from doorward.tree.places import Place
from doorward.tree.times import SystemClock
from tests.proof.disk_log import mark
from tests.proof.observed import Observed, observe
from tests.support.approval_rig import ApprovalRig
from tests.unit.backup.parts import Site
from tests.unit.cluster.applicants import Applicant
from tests.unit.cluster.pairs import Node, PairedCentral
from tests.unit.transaction.rig import PASSWORDS, SERVERS, USERS, WEB, ZONE, fast_response, ip

FILE = "/etc/example.conf"


class AnotherBoot(SystemClock):
    """The clock of a machine that was started again."""

    def boot(self) -> str:
        return "another"


class Witness:
    """Marks what is known of a node: before something is asked of it, and once that has been answered."""

    def __init__(self, log: Path, directory: Path) -> None:
        self._log, self._directory = log, directory
        self.seen = Observed()

    def look(self) -> None:
        """Mark how it is: nothing of that may be lost any more."""
        self.seen = observe(self._directory)
        mark(self._log, node=self._directory.name, known=self.seen.as_json())

    @contextmanager
    def asked(self, what: str) -> Iterator[None]:
        """Something is asked of it inside the block, and answered at its end."""
        mark(self._log, node=self._directory.name, asked=what)
        yield
        self.look()


def approve(directory: Path, log: Path) -> None:
    """Proposals that are accepted, by one and by two, rejected and withdrawn; trials; and then another data key."""
    witness = Witness(log, directory)
    with locked(directory):
        office = ApprovalRig(directory, "datetime", "passwords", required=2)
        witness.look()
        with witness.asked("propose"):
            zone = office.proposed((ZONE, "Europe/Budapest"))
        with witness.asked("the first acceptance"):
            office.decide(zone, "eve")
        with witness.asked("the last acceptance"):
            office.decide(zone, "bob")
        candidate = office.rig.candidate()
        office.rig.post(candidate, PASSWORDS, {"plain": "a secret that a proposal brings"})
        with witness.asked("propose a secret"):
            order = {"account": office.keys["ann"], "when_guarded": "propose"}
            secret = office.rig.commit(candidate, user="ann", **order).id
        with witness.asked("reject"):
            office.decide(secret, "eve", "reject", "no")
        with witness.asked("propose servers"):
            servers = office.proposed((SERVERS, [ip("127.77.0.1")]), confirm_seconds=600)
        for who in ("eve", "bob"):
            with witness.asked(f"{who} accepts servers"):
                office.decide(servers, who)
        office.rig.confirmations.close()
        office.rig.pipeline.clock = AnotherBoot()
        confirmations = Confirmations(office.rig.store, office.rig.pipeline, fast_response)
        with witness.asked("what is left of a trial after another boot"):
            confirmations.load()
        with witness.asked("confirm"):
            assert confirmations.pending is not None
            confirmations.confirm(confirmations.pending)
        confirmations.close()
        with witness.asked("propose once more"):
            office.proposed((WEB, {"timeout": 33}))
        office.close()
        with witness.asked("another data key"):
            rotate(directory)


def restore(directory: Path, log: Path) -> None:
    """A whole system, with the key of its channel, onto a node without a history; then only a configuration."""
    with TemporaryDirectory() as elsewhere:
        site = Site(Path(elsewhere) / "site")
        NodeKey.at(site.directory, node_id(site.rig.store))
        site.rig.committed((ZONE, "Europe/Budapest"))
        candidate = site.rig.candidate()
        site.rig.put(candidate, SERVERS, [ip("127.77.0.1")])
        site.rig.post(candidate, USERS, {"name": "jane", "password": None})
        site.rig.commit(candidate)
        archive = prepare(site.node, site.spool).archive
        here = Site(directory)
        sync_directory(directory.parent)  # as who makes a state directory does
        witness = Witness(log, directory)
        witness.look()
        whole = RestoreRequest(
            "admin", "192.0.2.9", scope="system", accept_signer=site.node.signing.fingerprint, take_over=True
        )  # fmt: skip
        with witness.asked("restore a system"):
            taken_over(here, whole, archive)
        here.rig.committed((ZONE, "Asia/Tokyo"))
        witness.look()
        with witness.asked("restore a configuration"):
            taken_over(here, RestoreRequest("admin", "192.0.2.9", accept_signer=site.node.signing.fingerprint), archive)
        here.rig.close()
        site.rig.close()


def taken_over(site: Site, request: RestoreRequest, archive: Path) -> None:
    checked = check(site.node, request, archive)
    try:
        assert checked.passed, checked.checks
        carry_out(site.node, request, checked, "")
    finally:
        checked.close()


def join(directory: Path, log: Path) -> None:
    """A node that is accepted and paired, and another one that follows what Central Management commits, and leaves."""
    centre = PairedCentral(directory / "centre")
    sync_directory(directory)
    central = Witness(log, directory / "centre")
    central.look()
    with ExitStack() as open_, TemporaryDirectory() as elsewhere:
        open_.callback(centre.rig.close)
        applicant = Applicant(Path(elsewhere), centre)
        with central.asked("accept"):
            applicant.accepted()
        with central.asked("pair"):
            applicant.pair()
        with central.asked("accept another one"):
            member = Node(directory / "member", centre, "managed-host")
        open_.callback(member.rig.close)
        sync_directory(directory)
        witness = Witness(log, directory / "member")
        witness.look()
        with witness.asked("follow"):
            member.follow()
        with central.asked("commit for all"):
            centre.committed((ZONE, "Asia/Kathmandu"))
        with witness.asked("follow again"):
            member.follow()
        with witness.asked("leave"):
            member.write(Place(join_request.PATH), None)


def remove(directory: Path, log: Path) -> None:
    """Write a file of the host, and take it away again."""
    files = DiskFiles(directory)
    for content in (b"there\n", None):
        if content is None:
            files.remove(FILE)
        else:
            files.write(FILE, FileEntry(content))
        mark(log, file=None if content is None else content.decode())


def main() -> None:
    """Do all of it below a directory."""
    root, log = Path(sys.argv[1]), Path(sys.argv[2])
    remove(root / "host", log)
    approve(root / "office", log)
    restore(root / "restored", log)
    join(root, log)


if __name__ == "__main__":
    main()
