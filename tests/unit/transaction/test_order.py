"""No change goes past the approval of changes: a matrix over every endpoint, every place that commits, and every request."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import doorward
from doorward.configuration.management.change_approval import PATH, rules_for
from doorward.tree.nodes import Branch
from doorward.tree.places import ROOT, Place
from doorward.tree.problems import InvalidBody, SemanticError
from tests.support.approval_rig import ApprovalRig
from tests.unit.transaction.rig import TREE

SOURCES = Path(doorward.__file__).parent
ENDPOINTS = [endpoint for endpoint in TREE if not isinstance(endpoint.node, Branch)]
WRITTEN = [endpoint for endpoint in ENDPOINTS if {"PUT", "POST", "DELETE"} & {*endpoint.methods, *endpoint.object_methods}]

PASSING = {
    "access/approving.py": ["pass"],  # what was accepted
    "access/own_password.py": ["pass"],
    "api/transaction.py": ["?"],  # "pass" in an emergency, else "propose"
    "appliance/admin_listeners.py": ["pass"],  # a start option, on the machine
    "appliance/housekeeping.py": ["pass"],  # what nothing refers to
    "backup/restore/applying.py": ["refuse"],
    "cluster/apply_revision.py": ["pass"],  # approved at Central Management
    "cluster/node_pairing.py": ["pass"],  # the secret of a pairing is destroyed
    "cluster/follower.py": ["pass", "pass"],  # the secret of a pairing; Central Management removed the node
    "transaction/confirmation.py": ["pass"],  # back to what ran
    "transaction/reset.py": ["pass"],  # the owner of the machine
    "transaction/setup.py": ["refuse"],
}
"""Every order of a commit in the program, by module: what becomes of it where it changes something guarded."""
PUBLISHING = {
    "transaction/pipeline.py": 1,
    "transaction/startup.py": 2,  # the first revision, and what a release brings
}
"""Every place that hands a revision to the store."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApprovalRig]:
    """Everything is guarded."""
    found = ApprovalRig(tmp_path_factory.mktemp("office"), "")
    yield found
    found.close()


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a function or method in the program, with its module."""
    for path in sorted(SOURCES.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if name not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called == name:
                    yield str(path.relative_to(SOURCES)), node


def test_every_order_says_what_becomes_of_it() -> None:
    found: dict[str, list[str]] = {}
    for module, call in calls("Order"):
        if module.startswith(("api/audit", "api/backup")):  # other orders: of sorting, of backups
            continue
        said = next((keyword.value for keyword in call.keywords if keyword.arg == "when_guarded"), None)
        found.setdefault(module, []).append(
            "refuse" if said is None else str(said.value) if isinstance(said, ast.Constant) else "?"
        )
    assert found == PASSING


def test_nothing_else_publishes() -> None:
    found = [module for module, _ in calls("publish") if not module.startswith(("store/", "backup/targets"))]
    partial = (SOURCES / "transaction/pipeline.py").read_text().count("self.store.publish,")
    counted = {module: found.count(module) for module in found}
    assert counted | {"transaction/pipeline.py": partial} == PUBLISHING


def test_a_rule_for_an_endpoint_guards_it_and_its_objects(office: ApprovalRig) -> None:
    snapshot, place = office.rig.pipeline.running.snapshot, Place(PATH)
    for path in [endpoint.path for endpoint in WRITTEN]:
        approval = office.settings | {"rules": [{"approvers": "security", "paths": [path], "required": 1}]}
        ruled = snapshot.put(place, TREE.load(place, approval))
        for href in (path, f"{path}/a-key"):
            assert [rule.approvers for rule in rules_for(ruled, [href])] == ["security"], href
        assert rules_for(ruled, [f"{ROOT}/alerting-of-another-name"]) == ()


def test_every_endpoint_that_can_be_changed_makes_proposals(office: ApprovalRig) -> None:
    before, proposed, unchanged = office.rig.number, 0, []
    for endpoint in WRITTEN:
        if not endpoint.path.startswith(ROOT) or endpoint.node.is_only_shown:
            continue
        states = [*put(office, endpoint), *posted(office, endpoint), *deleted(office, endpoint)]
        assert "done" not in states, endpoint.path
        proposed += states.count("proposed")
        if "proposed" not in states:
            unchanged.append(endpoint.path.removeprefix(f"{ROOT}/"))
        assert office.rig.number == before
    # Most are reached by bodies made from those that stand there; these take references to what a fresh node does not have.
    assert proposed >= 30
    assert len(unchanged) < 25, unchanged


def put(office: ApprovalRig, endpoint: Any) -> Iterator[str]:
    snapshot = office.rig.pipeline.running.snapshot
    keys = snapshot.objects(endpoint.path).order[:1] if endpoint.holds_objects else ("",)
    for key in keys:
        document = snapshot.document(Place(endpoint.path, key))
        if document is None or "PUT" not in (endpoint.object_methods if key else endpoint.methods):
            continue
        for body in others(document.value):
            state = tried(office, lambda candidate, key=key, body=body: endpoint.node.replace(candidate, key, body, strict=True))
            if state:
                yield state
            if state == "proposed":
                break


def posted(office: ApprovalRig, endpoint: Any) -> Iterator[str]:
    if "POST" in endpoint.methods:
        for body in ({"plain": "a long enough password"}, {"name": "made"}, {"name": "made", "members": []}):
            state = tried(office, lambda candidate, body=body: endpoint.node.add(candidate, body, strict=True))
            if state:
                yield state


def deleted(office: ApprovalRig, endpoint: Any) -> Iterator[str]:
    if "DELETE" in endpoint.object_methods:
        for key in office.rig.pipeline.running.snapshot.objects(endpoint.path).order[-2:]:
            state = tried(office, lambda candidate, key=key: endpoint.node.delete(candidate, key, TREE.node))
            if state:
                yield state


def tried(office: ApprovalRig, write: Any) -> str:
    """Write and commit as admin; return what became of it, "" where the write itself was refused or changed nothing."""
    candidate = office.rig.candidate()
    try:
        write(candidate)
    except (InvalidBody, SemanticError, KeyError):
        return ""
    if not candidate.changed:
        return ""
    try:
        record = office.rig.commit(candidate, when_guarded="propose")
    except SemanticError:
        return "refused"
    if record.state == "proposed":
        office.approving.withdraw(record.id, "admin")
    return record.state


def others(value: Any) -> Iterator[Any]:
    """Bodies that differ in one place."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, str):
        yield from (f"{value}x", "Europe/Vienna", "x", "node2.example.com")
    elif value is None:
        yield from ("x", "node@example.com", "192.0.2.9", 7, {"selection": "ip", "value": "192.0.2.9"})
    elif isinstance(value, list):
        yield from (value[:-1], [])
        for other in others(value[-1]) if value else ():
            yield [*value[:-1], other]
    elif isinstance(value, dict):
        for name, member in value.items():
            for other in others(member):
                yield {**value, name: other}
