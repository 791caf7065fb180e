"""Writes into a candidate, each with the checks that belong to the write (protocol, sections 9.4 to 9.8)."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from doorward.transaction.candidate import Candidate
from doorward.tree.changes import ORDER, same
from doorward.tree.nodes import Collection, ListSingleton, Singleton, Valued, WriteOnce, arrangement, arranges
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, Problem, SemanticError, pointer
from doorward.tree.references import references, resolved
from doorward.tree.registry import Endpoint, Tree
from doorward.tree.snapshot import Document, Snapshot
from doorward.tree.validation import Checked, check

Warnings = tuple[Problem, ...]


def replace_body(candidate: Candidate, endpoint: Endpoint, key: str, value: Any, *, strict: bool) -> Warnings:
    """PUT: replace the body of a singleton or of an object that exists. Raises InvalidBody or SemanticError.

    ``value`` is the decoded body, or what ``prepared`` made of it.
    """
    place, node = Place(endpoint.path, key), endpoint.node
    assert isinstance(node, Valued)  # noqa: S101 - only valued nodes have PUT
    if isinstance(node, Collection) and arranges(node, place):
        return _arrange(candidate, place, value, strict=strict)
    old = candidate.snapshot.document(place)
    assert old is not None  # noqa: S101 - addressing made sure of it
    if not node.supported:
        if not same(value, old.value) and not same(value, old.shown_value):
            _not_supported(place)
        return ()
    if isinstance(node, ListSingleton) and node.accepts_one and isinstance(value, dict):
        return _checked_list(candidate, endpoint, _one_as_list(value, old), -1, strict=strict)
    if isinstance(value, dict) and node.derived:
        value = value | {member: old.value[member] for member in node.derived}
    checked = value if isinstance(value, Checked) else prepared(endpoint, key, value, strict=strict)
    document = node.document(checked.model)
    problems = _unknown_references(candidate.snapshot, checked.model, document, place)
    if node.at_write:
        after = candidate.snapshot.put(place, document)
        problems += [replace(problem, path=place.href) for rule in node.at_write for problem in rule(after, place)]
    if isinstance(node, Collection):
        problems += _reserved(node, place, old, document)
        if key in node.default:
            problems += _fixed_changed(node, place, old, document)
    _refuse(problems)
    candidate.put(place, document)
    return checked.warnings


def prepared(endpoint: Endpoint, key: str, value: Any, *, strict: bool) -> Checked:
    """Validate a body for PUT, which may take its time where the node makes more of it. Raises InvalidBody or SemanticError."""
    node, place = endpoint.node, Place(endpoint.path, key)
    assert isinstance(node, Valued)  # noqa: S101 - only valued nodes have PUT
    checked = _supported(place, value, node, strict=strict)
    if not isinstance(node, Singleton) or node.make is None:
        return checked
    try:
        model, warnings = node.make(checked.model)
    except SemanticError as refused:
        raise SemanticError(replace(problem, path=problem.path or place.href) for problem in refused.problems) from None
    return Checked(model, (*checked.warnings, *warnings))


def _arrange(candidate: Candidate, place: Place, value: Any, *, strict: bool) -> Warnings:
    """PUT of a collection: write the order of its objects. The order that there is already is no change."""
    keys = candidate.snapshot.keys(place.path)
    if not isinstance(value, dict):
        raise InvalidBody([Problem("type", "Must be an object.")])
    others = [Problem("unknown_member", "Not known here; ignored.", pointer([name])) for name in sorted(value.keys() - {ORDER})]
    wanted, at = value.get(ORDER), pointer([ORDER])
    problems = [replace(problem, message="Not known here.") for problem in others] if strict else []
    if ORDER not in value:
        problems.append(Problem("missing", "Required.", at))
    elif not isinstance(wanted, list):
        problems.append(Problem("type", "Must be an array of keys.", at))
    elif odd := [index for index, key in enumerate(wanted) if not isinstance(key, str)]:
        problems += [Problem("type", "Must be a key.", pointer([ORDER, index])) for index in odd]
    elif sorted(map(resolved, wanted)) != sorted(keys):
        problems.append(Problem("order", "Must name every object once and nothing else.", at))
    if problems or not isinstance(wanted, list):
        raise InvalidBody(problems)
    order = [*map(resolved, wanted)]
    if order != [*keys]:
        candidate.put(place, arrangement(order))
    return tuple(others)


def append(candidate: Candidate, endpoint: Endpoint, value: Any, *, strict: bool) -> Warnings:
    """POST to a list: append one element, or all elements of an array. Pointers are those of the written body."""
    place = Place(endpoint.path)
    if not endpoint.node.supported:
        _not_supported(place)
    document = candidate.snapshot.document(place)
    present = document.value if document else []
    added = value if isinstance(value, list) else [value]
    moved = len(present) if isinstance(value, list) else -len(present) - 1
    return _checked_list(candidate, endpoint, present + added, moved, strict=strict)


@dataclass(frozen=True, slots=True)
class Made:
    """A write-once object before it is in a candidate: its public body, and its secret if it has one."""

    body: dict[str, Any]
    secret: str | None = field(repr=False)
    warnings: Warnings


def make(endpoint: Endpoint, value: Any, *, strict: bool) -> Made:
    """Make a write-once object, which may take its time. Raises InvalidBody or SemanticError."""
    node = endpoint.node
    if not node.supported:
        _not_supported(Place(endpoint.path))
    assert isinstance(node, WriteOnce)  # noqa: S101 - only stores make something
    checked = _supported(Place(endpoint.path), value, node, strict=strict)
    try:
        body, secret = node.make(checked.model)
    except SemanticError as refused:
        raise SemanticError(replace(problem, path=problem.path or endpoint.path) for problem in refused.problems) from None
    return Made(body, secret, checked.warnings)


def keep(candidate: Candidate, endpoint: Endpoint, made: Made) -> tuple[str, Warnings]:
    """Put a write-once object into a candidate. Returns its key."""
    node, key = endpoint.node, str(uuid.uuid4())
    assert isinstance(node, WriteOnce)  # noqa: S101 - only stores make something
    if made.secret is not None:
        candidate.secrets[key] = made.secret
    candidate.put(Place(endpoint.path, key), node.load(made.body))
    return key, made.warnings


def create(candidate: Candidate, endpoint: Endpoint, value: Any, *, strict: bool) -> tuple[str, Warnings]:
    """POST to a collection or a write-once store: make an object. Returns its key."""
    node = endpoint.node
    if isinstance(node, WriteOnce):
        return keep(candidate, endpoint, make(endpoint, value, strict=strict))
    if not node.supported:
        _not_supported(Place(endpoint.path))
    assert isinstance(node, Collection)  # noqa: S101 - only these have POST of objects
    checked = check(node.adapter, value, strict=strict)
    key = secrets.token_hex(11)
    place = Place(endpoint.path, key)
    document = node.document(checked.model)
    problems = _unknown_references(candidate.snapshot, checked.model, document, Place(endpoint.path))
    if len(candidate.snapshot.objects(endpoint.path)) >= node.most:
        problems.append(Problem("length", f"At most {node.most} objects.", "", endpoint.path))
    problems += _reserved(node, Place(endpoint.path), None, document)
    _refuse(problems)
    candidate.put(place, document)
    return key, checked.warnings


def delete(tree: Tree, candidate: Candidate, endpoint: Endpoint, key: str) -> None:
    """DELETE an object. Refuses built-in ones and, unless the collection cascades, those that are referred to."""
    place, node = Place(endpoint.path, key), endpoint.node
    assert isinstance(node, Collection)  # noqa: S101 - only collections have DELETE
    if key in node.default:
        _refuse([Problem("built_in", "A built-in object can't be deleted.", "", place.href)])
    if not node.supported:
        _not_supported(place)
    followers: list[tuple[Place, Document]] = []
    problems: list[Problem] = []
    for referrer in candidate.snapshot.who_refers_to(place.href):
        before = candidate.snapshot.document(referrer)
        document = released(tree, referrer, before, place) if node.cascade and before is not None else None
        if document is None:
            problems.append(Problem("referenced", f"Still used by {referrer.href}.", "", place.href))
        else:
            followers.append((referrer, document))
    for rule in node.removal:
        problems.extend(replace(problem, path=problem.path or place.href) for problem in rule(candidate.snapshot, place))
    _refuse(problems)
    for referrer, document in followers:
        candidate.put(referrer, document)
    candidate.remove(place)
    candidate.secrets.pop(key, None)


def released(tree: Tree, referrer: Place, document: Document, target: Place) -> Document | None:
    """Return the referrer's document without its references to the target; None where one does not stand in a list."""
    node = tree[referrer.path].node
    assert isinstance(node, Valued)  # noqa: S101 - only valued nodes refer
    body = document.value
    for at, reference in references(node.adapter.validate_python(body)):
        if reference.href == target.href:
            if not isinstance(at[-1], int):
                return None
            body = _without_key(body, at[:-1], target.key)
    return node.load(body)


def _without_key(body: Any, at: tuple[str | int, ...], key: str) -> Any:
    if not at:
        return [element for element in body if element != key]
    if isinstance(body, list):
        return [_without_key(v, at[1:], key) if index == at[0] else v for index, v in enumerate(body)]
    return {**body, at[0]: _without_key(body[at[0]], at[1:], key)}


def _one_as_list(value: dict[str, Any], old: Document) -> list[Any]:
    if len(old.value) > 1:
        raise InvalidBody([Problem("type", "Must be an array: send the whole list.")])
    return [value]


def _checked_list(candidate: Candidate, endpoint: Endpoint, value: list[Any], moved: int, *, strict: bool) -> Warnings:
    """Set a whole list of which only a part was sent.

    ``moved`` >= 0: the sent array begins at that index; < 0: one element was sent and stands at index ``-moved - 1``.
    """
    node = endpoint.node
    assert isinstance(node, Valued)  # noqa: S101 - lists are valued
    try:
        checked = check(node.adapter, value, strict=strict)
    except InvalidBody as refused:
        raise InvalidBody(_as_sent(refused.problems, moved)) from None
    document = node.document(checked.model)
    problems = _unknown_references(candidate.snapshot, checked.model, document, Place(endpoint.path))
    _refuse(_as_sent(problems, moved))
    candidate.put(Place(endpoint.path), document)
    return tuple(_as_sent(checked.warnings, moved))


def _as_sent(problems: Iterable[Problem], moved: int) -> list[Problem]:
    moved_back = []
    for problem in problems:
        _, *parts = problem.pointer.split("/")
        if parts:
            index = int(parts[0]) - (moved if moved >= 0 else -moved - 1)
            head = [str(index)] if moved >= 0 else []
            moved_back.append(replace(problem, pointer="".join("/" + part for part in head + parts[1:])))
        else:
            moved_back.append(problem)
    return moved_back


def _unknown_references(snapshot: Snapshot, model: Any, document: Document, place: Place) -> list[Problem]:
    if not document.references:
        return []
    return [
        Problem("unknown_reference", f"There is no {reference.href}.", pointer(at), place.href)
        for at, reference in references(model)
        if not snapshot.has(reference)
    ]


def _reserved(node: Collection[Any], place: Place, old: Document | None, new: Document) -> list[Problem]:
    """Refuse to give an object a reserved name; one that has it already keeps it."""
    if new.name not in node.reserved or (old is not None and old.name == new.name):
        return []
    return [Problem("reserved", f"The name {new.value[node.unique]} is reserved.", pointer([node.unique]), place.href)]


def _fixed_changed(node: Collection[Any], place: Place, old: Document, new: Document) -> list[Problem]:
    return [
        Problem("built_in", "Can't be changed in a built-in object.", pointer([member]), place.href)
        for member in node.fixed
        if not same(old.value[member], new.value[member])
    ]


def _supported(place: Place, value: Any, node: Valued[Any] | WriteOnce[Any], *, strict: bool) -> Checked:
    """Validate a body. What is only not supported has the right shape: that is a question of meaning."""
    try:
        return check(node.adapter, value, strict=strict)
    except InvalidBody as refused:
        shape = [problem for problem in refused.problems if problem.code != "not_supported"]
        if shape:
            raise InvalidBody(shape) from None
        raise SemanticError(replace(problem, path=place.href) for problem in refused.problems) from None


def _not_supported(place: Place) -> None:
    raise SemanticError([Problem("not_supported", "Not supported by this release.", "", place.href)])


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise SemanticError(problems)
