"""A Central Management and a node without network: real stores, pipelines and trees; calls go through JSON and back."""

from __future__ import annotations

import gzip
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from doorward import __version__
from doorward.cluster.calls import EncodedAnswer, Since
from doorward.cluster.central import Central
from doorward.cluster.following import Following
from doorward.cluster.host_keys import HostKeyReport, SharedHostKeys
from doorward.cluster.keys import NodeKey
from doorward.cluster.peers import Peers
from doorward.cluster.pins import PinnedPeer
from doorward.cluster.revisions import Envelope, Header, MembershipEnvelope
from doorward.cluster.statuses import NodeReport
from doorward.configuration.network._addresses import addresses
from doorward.events.events import Event, Events
from doorward.membership import join_request, nodes, promote
from doorward.membership.cluster_role import cluster_role
from doorward.sessions.host_keys import TrustedHostKeys
from doorward.tree.places import Place
from tests.unit.transaction.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doorward.transaction.candidate import Candidate

INTERFACE = "local_services/cluster"
_T = TypeVar("_T")


def in_json(value: Any, kind: type[_T]) -> _T:
    """What arrives of a value at the other end of the channel."""
    sent = gzip.decompress(value.compressed) if isinstance(value, EncodedAnswer) else msgspec.json.encode(value)
    return msgspec.json.decode(sent, type=kind)


class Told(Events):
    """Events that are only remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.raised: list[tuple[str, bool]] = []

    def raise_(self, key: str, text: str, path: str = "", *, ended: bool = False, **details: Any) -> None:
        Event(key=key, text=text, path=path, details=details)
        self.raised.append((key, ended))


class Machine:
    """A node with its interface enabled."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.id = str(uuid.uuid4())
        self.rig = Rig(directory)
        key, _ = addresses(self.rig.pipeline.running.snapshot)[0]
        self.rig.committed((INTERFACE, {"enabled": True, "listen_address": key}))
        self.key = NodeKey.at(directory, self.id)
        self.peers, self.events = Peers(self.rig.store), Told()
        self.host_keys = TrustedHostKeys(self.rig.store)
        self.central = Central(self.rig.pipeline, self.id, self.key, self.peers, self.events, host_keys=self.host_keys)

    def write(self, place: Place, body: Any, **order: Any) -> None:
        """Commit a document of the membership."""
        candidate = self.rig.candidate()
        put(self.rig, candidate, place, body)
        self.rig.commit(candidate, **order)

    def remove(self, place: Place, **order: Any) -> None:
        candidate = self.rig.candidate()
        candidate.remove(place)
        self.rig.commit(candidate, **order)


def put(rig: Rig, candidate: Candidate, place: Place, body: Any) -> None:
    candidate.put(place, rig.tree.load(place, body))


class PairedCentral(Machine):
    """Central Management at 10.0.0.1."""

    def __init__(self, directory: Path, epoch: int = 1_795_291_200) -> None:
        super().__init__(directory)
        self.cluster_id = str(uuid.uuid4())
        self.promote(epoch)
        self.write(Place(nodes.PATH, self.id), {"address": "10.0.0.1", "roles": ["central-management"]})
        self.note()

    def promote(self, epoch: int) -> None:
        self.write(Place(promote.PATH), {"cluster_id": self.cluster_id, "epoch": epoch, "node_id": self.id})

    def note(self) -> bool:
        """What the cluster does after each commit."""
        return self.central.ledger.note(self.rig.pipeline.running)

    def committed(self, *puts: tuple[str, Any], **order: Any) -> bool:
        """Commit; whether that made a cluster revision."""
        self.rig.committed(*puts, **order)
        return self.note()

    def give(self, node: Node, *roles: str, address: str = "10.0.0.2") -> None:
        """Give a node its roles."""
        self.write(Place(nodes.PATH, node.id), {"address": address, "roles": list(roles)})
        self.note()

    def manages(self, node_id: str) -> bool:
        """Whether a node is a managed host."""
        document = self.rig.pipeline.running.snapshot.document(Place(nodes.PATH, node_id))
        return document is not None and nodes.MANAGED in document.value["roles"]

    @property
    def number(self) -> int:
        newest = self.central.ledger.newest
        assert newest is not None
        return newest.header.number


@dataclass
class Wire:
    """The channel as a node sees it; ``tamper`` changes what arrives."""

    central: PairedCentral
    peer: PinnedPeer
    tamper: Callable[[Envelope], Envelope] = field(default=lambda envelope: envelope)
    calls: list[str] = field(default_factory=list)
    release: str | None = __version__

    def upgrade(self, release: str) -> None:
        """Let Central Management be of another release from now on."""
        self.release, self.tamper = release, lambda envelope: msgspec.structs.replace(envelope, version=release)

    def head(self, since: Header | None, wait: float) -> Header | None:
        del wait
        self.calls.append("head")
        found = self.central.central.head(self.peer, _since(since))
        return None if found is None else in_json(found, Header)

    def revision(self, since: Header | None) -> Envelope | None:
        self.calls.append("revision")
        if not self.central.manages(self.peer.id):
            return None
        return self.tamper(in_json(self.central.central.revision(self.peer, _since(since)), Envelope))

    def membership(self, since: Header | None, wait: float) -> MembershipEnvelope | None:
        del wait
        self.calls.append("membership")
        found = self.central.central.membership(self.peer, _since(since))
        return None if found is None else in_json(found, MembershipEnvelope)

    def report(self, report: NodeReport) -> None:
        self.central.central.status(self.peer, in_json(report, dict[str, Any]))

    def host_keys(self, told: HostKeyReport) -> SharedHostKeys | None:
        self.calls.append("host_keys")
        found = self.central.central.host_keys(self.peer, in_json(told, HostKeyReport))
        return None if found is None else in_json(found, SharedHostKeys)


def _since(header: Header | None) -> Since | None:
    return Since(header.epoch, header.number) if header else None


class Node(Machine):
    """A node that asked to join the cluster of a Central Management, and was accepted and paired."""

    def __init__(self, directory: Path, central: PairedCentral, *roles: str, address: str = "10.0.0.2") -> None:
        super().__init__(directory)
        self.paired = central
        candidate = self.rig.candidate()
        self.psk = self.rig.post(candidate, "passwords", {"plain": "x" * 64})
        request = {"central_management_address": "10.0.0.1", "node_id": self.id, "psk": self.psk}
        put(self.rig, candidate, Place(join_request.PATH), request)
        self.rig.commit(candidate)
        self.wire = Wire(central, PinnedPeer(self.id, self.key.certificate, frozenset(roles)))
        central.peers.pin(self.id, self.key.certificate, 0.0)
        central.give(self, *roles, address=address)
        self.following = Following(self.rig.pipeline, lambda work: work())
        self.following.join(self.wire, cluster_role(self.rig.pipeline.running.snapshot))

    def step(self) -> bool:
        """Ask Central Management once."""
        return self.following.step(self.wire, 0, lambda: None)

    def follow(self) -> None:
        """Ask Central Management until there is nothing new."""
        while self.step():
            pass

    def report(self, *, fqdn: str = "node2.example.com", now: float = 1_000.0) -> NodeReport:
        sync = self.following.sync
        made = NodeReport(
            fqdn, "0.1.0", "10.0.0.2", now, sync.applied, sync.tried, *sync.times, self.following.issues,
            central_address="10.0.0.1",
        )  # fmt: skip
        self.wire.report(made)
        return made

    def codes(self) -> list[str]:
        """The codes of what is wrong."""
        return [issue.code for issue in self.following.issues.errors]
