"""Writing what a description asks for, and reading descriptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from doorward.cli.describe import plan
from doorward.cli.described import DescribedPlan, DescribedRequest, New, depends_on
from doorward.cli.failures import CommandError, Usage, explained, problem_line
from doorward.cli.outside import NotFoundError, Outside, beside, body
from doorward.cli.remote import Remote
from doorward.cli.session import CommandSession
from doorward.cli.values import read_file, read_input
from doorward.cli.yamltext import NotReadableError, load
from doorward.client.blocking import Client
from doorward.client.errors import ApiRefusedError, ReportedProblem
from doorward.tree.nodes import Branch
from doorward.tree.registry import Endpoint, Tree

_SUFFIXES = {".yaml", ".yml", ".json"}


class Description(Struct, frozen=True):
    """What files describe, and the id of the node whose settings they are, if they say so."""

    configuration: Any
    node: str | None = None


def read(files: Sequence[Path]) -> Description:
    """Return what files, folders of files and ``-``, standard input, describe together. Raises Usage."""
    found: Any = None
    nodes: dict[str, Path] = {}
    for file in _files(files):
        one = _one(file)
        if one.node is not None:
            nodes[one.node] = file
        found = one.configuration if found is None else _together(found, one.configuration, file, "")
    if len(nodes) > 1:
        raise Usage(f"The files are of different nodes: {', '.join(str(file) for file in nodes.values())}.")
    return Description({} if found is None else found, next(iter(nodes), None))


def _files(given: Sequence[Path]) -> Iterator[Path]:
    for path in given:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES and not file.name.startswith("."))
        if not inside:
            raise Usage(f"{path} holds no file that ends in {', '.join(sorted(_SUFFIXES))}.")
        yield from inside


def _one(file: Path) -> Description:
    standard = str(file) == "-"
    name = "standard input" if standard else str(file)
    try:
        content = load(read_input() if standard else read_file(file))
    except NotReadableError as error:
        raise Usage(f"{name}: {error}") from None
    if not isinstance(content, dict) or "configuration" not in content or content.keys() - {"configuration", "node"}:
        raise Usage(f"{name}: must have `configuration:` at the top, and nothing beside it but `node:`.")
    node = content.get("node")
    if node is not None and not isinstance(node, str):
        raise Usage(f"{name}: `node:` is the id of a node.")
    return Description(beside(content["configuration"], Path() if standard else file.parent), node)


def _together(one: Any, other: Any, file: Path, path: str) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        found = dict(one)
        for name, value in other.items():
            found[name] = _together(one[name], value, file, f"{path}/{name}") if name in one else value
        return found
    if one != other:
        raise Usage(f"{file}: another file says otherwise about {path.removeprefix('/') or 'everything'}.")
    return one


def without_own(tree: Tree, described: Any) -> tuple[Any, list[str]]:
    """Return a description without what belongs to one node alone, and the paths that were left out."""
    left: list[str] = []

    def kept(endpoint: Endpoint, value: Any) -> Any:
        if not isinstance(endpoint.node, Branch) or not isinstance(value, dict):
            return value
        found = {}
        for name, member in value.items():
            child = endpoint.children.get(name)
            if child is not None and not isinstance(child.node, Branch) and child.node.scope == "node":
                left.append(child.path)
            else:
                found[name] = member if child is None else kept(child, member)
        return found

    return kept(tree.root, described), left


def write(session: CommandSession, described: Any, *, prune: bool) -> None:
    """Write what a description asks for into the transaction of a session. Raises Failure with every problem."""
    wrong = write_described(session.client, session.tree, session.remote, described, prune=prune)
    if wrong.problems or wrong.refused:
        lines = [problem_line(problem.path, problem.pointer, problem.message) for problem in wrong.problems]
        raise CommandError(*lines, *(line for refused in wrong.refused for line in explained(refused)))


class DescriptionFaults(Struct, frozen=True):
    """What is wrong with a description: what was seen before anything was sent, and what the API refused."""

    problems: tuple[ReportedProblem, ...]
    refused: tuple[ApiRefusedError, ...]


def write_described(client: Client, tree: Tree, remote: Remote, described: Any, *, prune: bool) -> DescriptionFaults:
    """Write what a description asks for into the open transaction; return everything that is wrong.

    Where something is, what could be written stands in the transaction, which is for the caller to discard.
    """
    found = plan(tree, remote, described, prune=prune)
    bodies, unreadable = _read_secrets(found)
    problems = [ReportedProblem(problem.message, problem.path, problem.pointer) for problem in found.problems]
    faulty = {problem.path for problem in found.problems}
    refused = _send(client, [request for request in found.requests if request.label not in faulty], bodies)
    return DescriptionFaults((*problems, *unreadable), tuple(refused))


def _read_secrets(found: DescribedPlan) -> tuple[dict[New, Any], list[ReportedProblem]]:
    """Return what is posted to make the secrets, and why some can't be made."""
    bodies: dict[New, Any] = {}
    problems = []
    for request in found.requests:
        if isinstance(request.value, Outside) and request.makes is not None:
            try:
                bodies[request.makes] = body(request.value)
            except NotFoundError as error:
                problems.append(ReportedProblem(str(error), request.label))
    return bodies, problems


def _send(client: Client, requests: Sequence[DescribedRequest], bodies: dict[New, Any]) -> list[ApiRefusedError]:
    """Send every request that can be sent. Returns what was refused."""
    keys: dict[New, str] = {}
    refused: list[ApiRefusedError] = []
    for request in requests:
        if isinstance(request.value, Outside):
            if request.makes not in bodies:
                continue  # can't be read, which was said
            value = bodies[request.makes]
        elif depends_on(request) <= keys.keys():
            value = _with_keys(request.value, keys)
        else:
            continue  # what it needs was refused, which says enough
        try:
            answer = client.write(request.method, request.path, value, about=request.label)
        except ApiRefusedError as error:
            refused.append(error)
        else:
            if request.makes is not None:
                keys[request.makes] = answer.content["key"]
    return refused


def _with_keys(value: Any, keys: dict[New, str]) -> Any:
    if isinstance(value, New):
        return keys[value]
    if isinstance(value, dict):
        return {name: _with_keys(member, keys) for name, member in value.items()}
    return [_with_keys(element, keys) for element in value] if isinstance(value, list) else value
