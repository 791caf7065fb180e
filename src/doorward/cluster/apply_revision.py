"""How a node takes what Central Management sends: checked, merged with its own scope, committed like any change (section 6).

Everything here blocks and runs in the commit thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import ValidationError

from doorward import __version__
from doorward.cluster.revisions import Envelope, Header, Membership, Row, documents, header, secret_digest, value_of
from doorward.cluster.statuses import NodeIssue
from doorward.host.kinds.zone import OTHER_PROCESSES
from doorward.membership import join_request, nodes
from doorward.membership.cluster_role import cluster_role
from doorward.store.port import CommitRecord, Store, StoredRecord
from doorward.transaction.candidate import Candidate
from doorward.transaction.merge import MergeConflict
from doorward.transaction.order import Order
from doorward.transaction.pipeline import ApplyFailed, Pipeline
from doorward.transaction.probes import PROBED
from doorward.transaction.rules import about_steps
from doorward.tree.nodes import WriteOnce
from doorward.tree.places import Place
from doorward.tree.plaintext import plain
from doorward.tree.problems import SemanticError
from doorward.tree.registry import Tree

AUTHOR = "central-management"
"""Of the revisions that Central Management brings about on a node."""
_MAX_OF_AUTHOR, _MAX_OF_MESSAGE = 128, 4096
_HREF = re.compile(r"/api/[A-Za-z0-9_/#-]+")


class NotAppliedError(Exception):
    """A revision that the node does not take; what runs is as before, unless the host could not be put back."""

    def __init__(self, issues: list[NodeIssue]) -> None:
        self.issues = issues
        super().__init__("; ".join(issue.message for issue in issues))


def check(envelope: Envelope, applied: Header | None, cluster_id: str, version: str = __version__) -> None:
    """Check that a revision is what its header says, follows the one applied and is of our release. Raises NotAppliedError."""
    newest, content = envelope.header, envelope.content
    if content.membership.cluster_id != cluster_id:
        raise _fault("history_fork", "The revision is one of another cluster.")
    if header(newest.epoch, newest.number, newest.parent, content.digest()) != newest:
        raise _fault("history_fork", f"Cluster revision {newest.number} is not what its hash says.")
    if {key: secret_digest(kept) for key, kept in envelope.secrets.items()} != content.secrets:
        raise _fault("history_fork", f"The secrets of cluster revision {newest.number} are not those of its hash.")
    if applied is not None and applied.epoch == newest.epoch:
        _follow(applied, newest, envelope.headers)
    elif applied is not None and applied.epoch > newest.epoch:
        raise _fault("history_fork", "The history of Central Management began before the one that this node follows.")
    if envelope.version != version:
        raise NotAppliedError([mismatch(envelope.version, version)])


def mismatch(release: str, version: str) -> NodeIssue:
    """Return what is wrong where Central Management is of another release than this node."""
    return NodeIssue("version_mismatch", f"Central Management runs {plain(release, 64)}, this node {version}.")


def _follow(applied: Header, newest: Header, headers: list[Header]) -> None:
    """Check the chain from one revision to another of the same epoch."""
    if newest.at <= applied.at:
        if newest != applied:
            raise _fault("history_fork", f"Central Management has another cluster revision {newest.number} than this node took.")
        return
    if not headers or headers[-1] != newest:
        raise _fault("history_fork", "The history of Central Management does not lead to its newest revision.")
    before = applied if headers[0].number == applied.number + 1 else None  # None: further behind than headers are kept
    for one in headers:
        if before is not None and one.parent != before.hash:
            raise _fault("history_fork", f"Cluster revision {one.number} does not follow the one that this node took.")
        before = one


def take_membership(pipeline: Pipeline, membership: Membership) -> bool:
    """Make the list of nodes the one of Central Management; return whether it changed. Raises NotAppliedError.

    The request follows a Central Management that has another address now. A secret that was left from the pairing is let go.
    """
    candidate = Candidate.on(pipeline.running)
    candidate.from_central = True
    wanted = {row.key: {"address": row.address, "roles": row.roles} for row in membership.nodes}
    for key in list(candidate.snapshot.objects(nodes.PATH).order):
        if key not in wanted:
            candidate.remove(Place(nodes.PATH, key))
    for key, body in wanted.items():
        known = candidate.snapshot.document(Place(nodes.PATH, key))
        if known is None or known.value != {**body, "psk": None}:
            try:
                _put(pipeline.tree, candidate, Place(nodes.PATH, key), body)
            except ValidationError as error:  # a Central Management of another release knows roles that this node does not
                href = f"{nodes.PATH}/{key}"
                raise NotAppliedError([_issue("unsuitable", f"This node does not take what stands at {href}.", href)]) from error
    place = Place(join_request.PATH)
    document = candidate.snapshot.document(place)
    if document is None or document.value is None:
        raise _fault("left", "The node has left its cluster.")
    asked, joined = document.value, {"central_node_id": membership.central_node_id, "cluster_id": membership.cluster_id}
    central = wanted.get(membership.central_node_id, {"address": asked["central_management_address"]})["address"]
    moved = {} if central == asked["central_management_address"] else {"previous_address": asked["central_management_address"]}
    told = {"central_management_address": central, "joined": joined, "psk": None}
    if asked | moved | told != asked:
        _put(pipeline.tree, candidate, place, asked | moved | told)
    if not candidate.changed:
        return False
    _commit(pipeline, candidate, AUTHOR, "Nodes of the cluster.")
    return True


def take(pipeline: Pipeline, envelope: Envelope, note: StoredRecord) -> list[NodeIssue] | None:
    """Put a checked revision into effect and write the note of it, both or none.

    Return the warnings that last; None where nothing changes, so that those of what runs stay true. Raises NotAppliedError.
    """
    candidate = Candidate.on(pipeline.running)
    candidate.from_central = True
    fill(pipeline.tree, pipeline.store, candidate, envelope)
    if not candidate.changed:
        pipeline.store.put_record(note)
        return None
    author = plain(envelope.author, _MAX_OF_AUTHOR) or "unknown"
    message = plain(envelope.message or "", _MAX_OF_MESSAGE) or f"cluster revision {envelope.header.number}"
    record = _commit(pipeline, candidate, f"{AUTHOR}: {author}", f"{AUTHOR}: {message}", note)
    lasting = _lasting(pipeline, record)
    return [_issue(found["code"], found["message"], found["path"] + _at(found["pointer"])) for found in lasting]


def _lasting(pipeline: Pipeline, record: CommitRecord) -> list[dict[str, str]]:
    """Return the warnings of a commit that are about what is; what was worth a word at the change is no issue afterwards."""
    edits = pipeline.store.edits(record.revision) if record.revision is not None else ()
    steps = {(one.code, one.path, one.pointer) for one in about_steps(pipeline.tree, pipeline.running.snapshot, edits)}
    passing = PROBED | {OTHER_PROCESSES}
    return [
        found for found in record.warnings
        if found["code"] not in passing and (found["code"], found["path"], found["pointer"]) not in steps
    ]  # fmt: skip


def fill(tree: Tree, store: Store, candidate: Candidate, envelope: Envelope) -> None:
    """Put what differs into a candidate. Secrets that the node has are left alone. Raises NotAppliedError."""
    present = {place for place, _ in documents(tree, candidate.snapshot)}
    faults: list[NodeIssue] = []
    for row in envelope.content.tree:
        place = Place(row[0], row[1])
        present.discard(place)
        try:
            _fill_one(tree, candidate, place, row)
        except (ValidationError, KeyError):
            faults.append(_issue("unsuitable", f"This node does not take what stands at {place.href}.", place.href))
    if faults:
        raise NotAppliedError(faults)
    for place in sorted(present):
        if place.key:
            candidate.remove(place)
    candidate.kept = {key: kept for key, kept in envelope.secrets.items() if store.secret(key) is None}


def _fill_one(tree: Tree, candidate: Candidate, place: Place, row: Row) -> None:
    document = candidate.snapshot.document(place)
    if document is None or document.stored.decode() != row[2]:
        node = tree[place.path].node
        if node.scope != "cluster" and not isinstance(node, WriteOnce):
            raise KeyError(place.path)
        candidate.put(place, tree.load(place, value_of(row)))


def _put(tree: Tree, candidate: Candidate, place: Place, body: object) -> None:
    candidate.put(place, tree.load(place, body))


def _commit(pipeline: Pipeline, candidate: Candidate, author: str, message: str, *notes: StoredRecord) -> CommitRecord:
    address = cluster_role(candidate.snapshot).central_addresses
    try:
        order = Order(
            author, address[0] if address else "", message[:_MAX_OF_MESSAGE],
            records=notes, everything=True, when_guarded="pass",  # it was approved where it was committed
        )  # fmt: skip
        return pipeline.commit(candidate, order)
    except SemanticError as refused:
        issues = [_issue(p.code, p.message, p.path + _at(p.pointer)) for p in refused.problems]
        raise NotAppliedError(issues) from refused
    except ApplyFailed as failed:
        raise NotAppliedError([_issue("apply", f"{failed.action}: {failed.reason}", failed.path)]) from failed
    except MergeConflict as collided:  # cannot be: the candidate began at what runs
        raise NotAppliedError([_issue("conflict", str(collided), "")]) from collided


def _issue(code: str, message: str, path: str) -> NodeIssue:
    """Return an issue with every place that takes part: those that the message names belong to it."""
    paths: Iterable[str] = dict.fromkeys(found for found in [path, *_HREF.findall(message)] if found)
    return NodeIssue(code, plain(message, _MAX_OF_MESSAGE), list(paths)[:100])


def _at(pointer: str) -> str:
    return "#" + pointer[1:] if pointer else ""


def _fault(code: str, message: str) -> NotAppliedError:
    return NotAppliedError([NodeIssue(code, message)])
