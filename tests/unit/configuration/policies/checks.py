"""What the tests of policies ask of models and of commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, SemanticError
from doorward.tree.validation import check
from tests.unit.configuration.material import certificate, key, pem, text
from tests.unit.transaction.rig import ROOT, TREE, Rig

if TYPE_CHECKING:
    from collections.abc import Callable

    from doorward.transaction.candidate import Candidate

ARCHIVES = "policies/archive_cleanup_policies"
AUDITS = "policies/audit_policies"
BACKUPS = "policies/backup_policies"
LDAPS = "policies/ldap_servers"
TIMES = "policies/time_policies"


def problems(path: str, value: Any, *, strict: bool = True) -> list[tuple[str, str]]:
    """(Code, pointer) of everything that is wrong with a body by itself."""
    node: Any = TREE[ROOT + path].node
    try:
        check(node.adapter, value, strict=strict)
    except InvalidBody as refused:
        return [(problem.code, problem.pointer) for problem in refused.problems]
    return []


def stored(path: str, value: Any) -> Any:
    """The body as it is stored."""
    node: Any = TREE[ROOT + path].node
    return node.document(check(node.adapter, value, strict=True).model).value


def warned(path: str, value: Any) -> list[tuple[str, str]]:
    """(Code, pointer) of what is dropped from a body."""
    node: Any = TREE[ROOT + path].node
    return [(warning.code, warning.pointer) for warning in check(node.adapter, value).warnings]


def changed(value: dict[str, Any], at: str, new: Any) -> dict[str, Any]:
    """A copy of a body with another member at a path like ``target/port``."""
    name, _, rest = at.partition("/")
    return {**value, name: changed(value[name], rest, new) if rest else new}


def without(value: dict[str, Any], at: str) -> dict[str, Any]:
    """A copy of a body without the member at a path."""
    name, _, rest = at.partition("/")
    if rest:
        return {**value, name: without(value[name], rest)}
    return {member: inner for member, inner in value.items() if member != name}


def refused(work: Callable[[], object]) -> list[tuple[str, str, str]]:
    """(Code, path below the root, pointer) of everything that a write or commit is refused for."""
    with pytest.raises(SemanticError) as caught:
        work()
    return [(problem.code, problem.path.removeprefix(ROOT), problem.pointer) for problem in caught.value.problems]


def advice(rig: Rig, candidate: Candidate) -> list[tuple[str, str, str]]:
    """The warnings that a commit would have."""
    report = rig.pipeline.plan(candidate)
    assert report.problems == ()
    return [(warning.code, warning.path.removeprefix(ROOT), warning.pointer) for warning in report.warnings]


def password(rig: Rig, candidate: Candidate, plain: str = "a password of a service") -> str:
    return rig.post(candidate, "passwords", {"plain": plain})


def private_key(rig: Rig, candidate: Candidate) -> str:
    return rig.post(candidate, "private_keys", {"private_key": pem(key("ed25519"))})


def identity(rig: Rig, candidate: Candidate, kind: str = "rsa-2048", *, with_key: bool = True) -> str:
    """A certificate in the store."""
    body = {"certificate": text(certificate("x", key(kind)))} | ({"private_key": pem(key(kind))} if with_key else {})
    return rig.post(candidate, "x509", body)


def expanded(store: str, name: str) -> dict[str, Any]:
    """A reference as GET shows it."""
    return {"key": name, "meta": {"href": f"{ROOT}{store}/{name}"}}


def exists(rig: Rig, store: str, name: str) -> bool:
    return rig.pipeline.running.snapshot.document(Place(ROOT + store, name)) is not None
