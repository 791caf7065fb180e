"""What the options of ``config`` describe, in the form that ``doorward apply`` takes. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from doorward.cli.describe import Present
from doorward.cli.naming import folded, key_named
from doorward.cli.outside import in_clear
from doorward.client import ReportedProblem
from doorward.tree.nodes import Collection
from doorward.tree.problems import pointer
from doorward.tree.registry import Endpoint, Tree

_ROOT = "/api/configuration/"
_SECRET = "from_secret"  # noqa: S105 - the name of a member


class OptionsError(Exception):
    """Options that contradict each other, or name what there is not; ``problems`` has all of them."""

    def __init__(self, problems: Sequence[ReportedProblem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(problem.message for problem in problems))


def nested(tree: Tree, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description in which the paths of the outermost mapping are taken apart. Raises OptionsError."""
    found: dict[str, Any] = {}
    problems = []
    for path, value in given.items():
        place: Any = found
        *above, last = _parts(tree, path)
        for part in above:
            place = place.setdefault(part, {}) if isinstance(place, dict) else {}
        if not isinstance(place, dict) or last in place:
            problems.append(ReportedProblem("Another entry describes the same.", "configuration", pointer([path])))
        else:
            place[last] = value
    if problems:
        raise OptionsError(problems)
    return found


def with_secrets(given: Any, secrets: Mapping[str, Any]) -> Any:
    """Return a description with texts in place of the names of secrets. Raises OptionsError.

    Texts that stand in the description itself are refused: Ansible would show and log them.
    """
    problems: list[ReportedProblem] = []

    def replaced(value: Any, at: tuple[str | int, ...]) -> Any:
        if isinstance(value, list):
            return [replaced(element, (*at, index)) for index, element in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if _SECRET in value:
            name = value[_SECRET]
            if isinstance(name, str) and isinstance(secrets.get(name), str):
                return {member: other for member, other in value.items() if member != _SECRET} | {"plain": secrets[name]}
            message = f"There is no text {name} in secrets."
        elif in_clear({**value, **{name: None for name, member in value.items() if isinstance(member, (dict, list))}}):
            message = f"Put the text into secrets, and its name here, as {_SECRET}."
        else:
            return {name: replaced(member, (*at, name)) for name, member in value.items()}
        problems.append(ReportedProblem(message, "configuration", pointer(list(at))))
        return None

    whole = replaced(given, ())
    if problems:
        raise OptionsError(problems)
    return whole


def removals(tree: Tree, present: Present, paths: Sequence[str], described: Mapping[str, Any]) -> list[str]:
    """Return the paths, by key, of the objects that are there and shall not be. Raises OptionsError."""
    found, problems = [], []
    for index, path in enumerate(paths):
        collection, name = _object(tree, path)
        if collection is None or not isinstance(collection.node, Collection) or not collection.node.unique:
            message = f"{path} is not the path of an object with a name."
        elif folded(collection.node, name) in _names(collection, described):
            message = f"{path} is described as well."
        else:
            key = key_named(collection.node, present.objects(collection.path), name)
            found += [f"{collection.path}/{key}"] if key is not None else []
            continue
        problems.append(ReportedProblem(message, "absent", pointer([index])))
    if problems:
        raise OptionsError(problems)
    return list(dict.fromkeys(found))


def _parts(tree: Tree, path: str) -> list[str]:
    """Return the names that lead to a place. The name of an object may have slashes."""
    collection, name = _object(tree, path)
    if collection is not None and name:
        return [*collection.path.removeprefix(_ROOT).split("/"), name]
    return path.removeprefix(_ROOT).strip("/").split("/")


def _object(tree: Tree, path: str) -> tuple[Endpoint | None, str]:
    """Return the collection that a path leads into, and what comes behind it."""
    whole = _ROOT + path.removeprefix(_ROOT).strip("/")
    for at, letter in enumerate(whole):
        if letter == "/" and (endpoint := tree.endpoints.get(whole[:at])) and isinstance(endpoint.node, Collection):
            return endpoint, whole[at + 1 :]
    return None, ""


def _names(collection: Endpoint, described: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the folded names of the objects of a collection that are described."""
    place: Any = described
    for part in collection.path.removeprefix(_ROOT).split("/"):
        place = place.get(part) if isinstance(place, Mapping) else None
    if isinstance(place, Mapping) and isinstance(collection.node, Collection):
        for name in place:
            yield folded(collection.node, name)
