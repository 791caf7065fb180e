"""From an archive to a candidate and to records: what is put, what is removed, what stays as it is on this node."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from doorward.backup import container
from doorward.backup.content import CHANNEL_KEY, CLUSTER_KINDS, MEMBERSHIP, RUN_KINDS, RUNS
from doorward.backup.node import NodeView
from doorward.backup.records import checked
from doorward.backup.restore.loading import Loaded
from doorward.backup.restore.opening import ArchiveRefusedError, Opened
from doorward.backup.restore.request import RestoreRequest
from doorward.backup.signing import own_key
from doorward.configuration import x509
from doorward.configuration.local_services import admin_web, cluster
from doorward.configuration.management import certificates
from doorward.configuration.management._identities import made, server_identity
from doorward.membership import join_request, nodes, promote
from doorward.membership.cluster_role import cluster_role
from doorward.store.port import SEALED_FILE, Store, StoredRecord
from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.startup import identity
from doorward.tree.jsontext import decode
from doorward.tree.nodes import Collection, Valued, WriteOnce
from doorward.tree.places import ROOT, Place
from doorward.tree.problems import InvalidBody
from doorward.tree.references import references
from doorward.tree.registry import Endpoint, Tree
from doorward.tree.snapshot import Document, Snapshot

NETWORK, SERVICES = f"{ROOT}/network", f"{ROOT}/local_services"
_REMOVED = "removed"
"""Archives of earlier releases have a text under this id, on nodes that Central Management had removed."""


def restored_candidate(node: NodeView, request: RestoreRequest, opened: Opened, loaded: Loaded) -> Candidate:
    """Return a candidate with what was asked for of an archive. Raises ArchiveRefusedError ``damaged``."""
    tree = node.pipeline.tree
    candidate = _candidate_of(loaded, node.pipeline.running, tree, keep_network=request.network == "keep")
    if request.scope == "system":
        try:
            put_membership(candidate, tree, opened.json(MEMBERSHIP))
        except (ValidationError, KeyError, TypeError, AttributeError):
            raise ArchiveRefusedError("damaged", f"{MEMBERSHIP} does not hold what it should.") from None
    if request.new_certificate:
        _put_server_certificate(candidate, tree, node.pipeline.secrets.text)
    return candidate


def records(node: NodeView, opened: Opened) -> tuple[StoredRecord, ...]:
    """Return what a restore of the whole system writes along with its revision. Raises ArchiveRefusedError ``damaged``."""
    found = [identity(opened.manifest["node"]["id"])]
    if node.signing.role(opened.signer) != "current":
        found.append(own_key(node.pipeline.store, base64.b64decode(opened.public_key)))
    found.extend(_runs(node.pipeline.store, opened.files.get(RUNS, b"")))
    found.extend(_of_the_cluster(opened.json(MEMBERSHIP)))
    if CHANNEL_KEY in opened.files:
        text = opened.files[CHANNEL_KEY].decode("ascii", "replace")
        sealed = base64.b64encode(node.pipeline.secrets.seal(CHANNEL_KEY, text)).decode()
        found.append(StoredRecord(SEALED_FILE, CHANNEL_KEY, {"sealed": sealed}))
    return tuple(found)


def _runs(store: Store, lines: bytes) -> Iterator[StoredRecord]:
    if container.has_too_many_values(lines):
        raise ArchiveRefusedError("damaged", f"It holds more than an archive does: {RUNS} has too many values.")
    for line in lines.splitlines():
        try:
            value = decode(line)
            record = StoredRecord(value["kind"], value["id"], value["body"])
            if record.kind in RUN_KINDS:
                yield checked(store, record)
        except (InvalidBody, KeyError, TypeError, ValueError):
            raise ArchiveRefusedError("damaged", f"{RUNS} can't be read.") from None


def _of_the_cluster(membership: Any) -> Iterator[StoredRecord]:
    try:
        for value in membership["records"]:
            if value["kind"] in CLUSTER_KINDS and value["id"] != _REMOVED:
                if not (isinstance(value["id"], str) and isinstance(value["body"], dict)):
                    raise TypeError
                yield StoredRecord(value["kind"], value["id"], value["body"])
    except (KeyError, TypeError):
        raise ArchiveRefusedError("damaged", f"{MEMBERSHIP} does not hold what it should.") from None


def _candidate_of(loaded: Loaded, running: Running, tree: Tree, *, keep_network: bool) -> Candidate:
    """Return a candidate whose configuration is that of the archive.

    ``keep_network``: interfaces, routing, DNS and naming stay as they run, and the addresses that services listen on. On a
    managed host what Central Management sets stays as well.
    """
    candidate = Candidate.on(running)
    candidate.from_archive = True
    managed = cluster_role(running.snapshot).managed
    for endpoint in tree:
        path, scope = endpoint.path, endpoint.node.scope
        if (
            not path.startswith(f"{ROOT}/")
            or (keep_network and path.startswith(f"{NETWORK}/"))
            or (managed and scope == "cluster")
        ):
            continue
        if isinstance(endpoint.node, WriteOnce):
            _stores(candidate, loaded, endpoint)
        elif isinstance(endpoint.node, Collection):
            _objects(candidate, loaded.snapshot, endpoint.path, endpoint.node)
        elif isinstance(endpoint.node, Valued):
            document = loaded.snapshot.document(Place(endpoint.path))
            if document is not None:
                kept = keep_network and endpoint.path.startswith(f"{SERVICES}/")
                candidate.put(Place(endpoint.path), _keeping_addresses(document, endpoint.node, running) if kept else document)
    for place in [place for place in candidate.touched if isinstance(tree[place.path].node, WriteOnce)]:
        if not candidate.snapshot.who_refers_to(place.href):  # it belongs to something that was left out
            candidate.remove(place)
            candidate.kept.pop(place.key, None)
    return candidate


def put_membership(candidate: Candidate, tree: Tree, found: dict[str, Any]) -> None:
    """Make the node what it was in its cluster. Central Management begins a new line of history, newer than the one before.

    It does so whatever the clock of the machine says. A machine whose cluster interface is closed opens it where administrators
    are served.
    """
    if found["promote"] is not None:
        began = {**found["promote"], "epoch": max(int(time.time()), found["promote"]["epoch"] + 1)}
        candidate.put(Place(promote.PATH), tree.load(Place(promote.PATH), began))
    if found["join_request"] is not None:
        joined = {**found["join_request"], "psk": None}
        candidate.put(Place(join_request.PATH), tree.load(Place(join_request.PATH), joined))
    for key, body in found["nodes"].items():
        place = Place(nodes.PATH, key)
        candidate.put(place, tree.load(place, body))
    snapshot, interface = candidate.snapshot, Place(cluster.PATH)
    if cluster_role(snapshot).is_member and not snapshot.read(cluster.NODE).enabled:
        opened = {"enabled": True, "listen_address": snapshot.read(admin_web.NODE).listen[0].address.text}
        candidate.put(interface, tree.load(interface, opened))


def _put_server_certificate(candidate: Candidate, tree: Tree, text: Callable[[str], str | None]) -> None:
    """Give the node a server certificate for its names and addresses as they are in the candidate.

    Its authority signs it, and stays; where the private key of that is elsewhere, the node gets an authority of its own with all
    that belongs to it. ``text`` returns the private key of a certificate that is here already.
    """
    snapshot = candidate.snapshot
    body, names, authority = dict(snapshot.value(certificates.PATH)), certificates.names(snapshot), None
    if body["ca"] and body["ca"]["selection"] == "identity":
        key = body["ca"]["x509_identity"]
        found, private = snapshot.find(x509.NODE, key), candidate.texts.get(key) or text(key)
        if found is not None and private:
            authority = x509.NewCertificate(certificate=found.certificate, private_key=private)
    fresh = made(names) if authority is None else {"server": server_identity(names, authority)}
    for role, pair in fresh.items():
        key, _ = tree.node(x509.PATH).add(candidate, pair.model_dump(), strict=True)
        body[role] = {"selection": "identity", "x509_identity": key} if role == "ca" else key
    tree.node(certificates.PATH).replace(candidate, "", body, strict=True)


def _stores(candidate: Candidate, loaded: Loaded, endpoint: Endpoint) -> None:
    """Bring secrets that are not here; those that nobody owns afterwards go by themselves."""
    for key, document in loaded.snapshot.objects(endpoint.path).items():
        place = Place(endpoint.path, key)
        if candidate.snapshot.document(place) is None:
            candidate.put(place, document)
            if key in loaded.secrets:
                candidate.kept[key] = loaded.secrets[key]


def _objects(candidate: Candidate, wanted: Snapshot, path: str, node: Collection[Any]) -> None:
    objects = wanted.objects(path)
    for key in candidate.snapshot.objects(path).order:
        if objects.document(key) is None and key not in node.default:
            candidate.remove(Place(path, key))
    for position, key, document in _placed(objects.items(), candidate.base.snapshot, path):
        candidate.put(Place(path, key), document, position)
    if (order := wanted.document(Place(path))) is not None:
        candidate.put(Place(path), order)


def _placed(objects: Iterator[tuple[str, Document]], present: Snapshot, path: str) -> Iterator[tuple[int, str, Document]]:
    """Yield objects with positions that keep their order among each other and among those that are there.

    An object that was removed since left its position free, right behind the one before it.
    """
    position = -1
    for key, document in objects:
        there = present.document(Place(path, key)) is not None
        position = present.position(Place(path, key)) if there else position + 1
        yield position, key, document


def _keeping_addresses(document: Document, node: Valued[Any], running: Running) -> Document:
    """Return the body with the members that name addresses of network interfaces as they run."""
    present = running.snapshot.document(Place(node.path))
    if present is None or not isinstance(document.value, dict):
        return document
    named = {at for body in (document, present) for at in _naming_addresses(node, body)}
    if not named:
        return document
    if any(name in document.value and name not in present.value for name in named):
        return present  # a service that is closed here has no address to keep
    body: dict[str, Any] = {name: value for name, value in document.value.items() if name not in named}
    body |= {name: present.value[name] for name in named if name in present.value}
    try:
        return node.load(body)
    except ValidationError:  # members that only go together
        return present


def _naming_addresses(node: Valued[Any], document: Document) -> Iterator[str]:
    for at, reference in references(node.adapter.validate_python(document.value)):
        if reference.inside and at:
            yield str(at[0])
