"""``doorward apply``: brings the configuration to a described state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.commands.arguments import read_file
from doorward.cli.failures import Failure, Usage
from doorward.cli.options import Committing, Connection, command

if TYPE_CHECKING:
    from doorward.cli.describe import New, Plan, Request
    from doorward.cli.session import Session

Description = Annotated[
    Path, typer.Argument(metavar="FILE.yaml", help="What is described, under `configuration:`.", show_default=False)
]
Prune = Annotated[bool, typer.Option("--prune", help="Remove objects that a described collection does not name.")]


@command
def apply(file: Description, connection: Connection, how: Committing, prune: Prune = False) -> None:  # noqa: FBT002 - Typer's
    """Bring the configuration to the state that a file describes, in one transaction.

    What the file does not mention stays as it is. A second run finds nothing to change.
    """
    apply_file(connection, how, file, prune=prune)


def apply_file(connection: Connection, how: Committing, file: Path, *, prune: bool) -> None:
    """Carry out ``doorward apply``."""
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    described = read_description(file)
    with connected(connection) as session:
        transact(session, how, lambda: _write(session, described, file.parent, prune=prune))


def read_description(file: Path) -> Any:
    """Return what a file describes. Raises Usage."""
    from doorward.cli.yamltext import NotReadable, load

    try:
        content = load(read_file(file))
    except NotReadable as error:
        raise Usage(f"{file}: {error}") from None
    if not isinstance(content, dict) or content.keys() != {"configuration"}:
        raise Usage(f"{file}: must have `configuration:` at the top, and nothing beside it.")
    return content["configuration"]


def _write(session: Session, described: Any, folder: Path, *, prune: bool) -> None:
    from doorward.cli.describe import plan
    from doorward.cli.failures import problem_line

    found = plan(session.tree, session.remote, described, prune=prune)
    bodies, unreadable = _read_secrets(found, folder)
    lines = [problem_line(problem.path, problem.pointer, problem.message) for problem in found.problems]
    faulty = {problem.path for problem in found.problems}
    refused = send(session, [request for request in found.requests if request.label not in faulty], bodies)
    if lines or unreadable or refused:
        raise Failure(*lines, *unreadable, *refused)


def _read_secrets(found: Plan, folder: Path) -> tuple[dict[New, Any], list[str]]:
    """Return what is posted to make the secrets, and why some can't be made."""
    from doorward.cli import outside
    from doorward.cli.failures import problem_line

    bodies: dict[New, Any] = {}
    problems = []
    for request in found.requests:
        if isinstance(request.value, outside.Outside) and request.makes is not None:
            try:
                bodies[request.makes] = outside.body(request.value, folder)
            except outside.NotThere as error:
                problems.append(problem_line(request.label, "", str(error)))
    return bodies, problems


def send(session: Session, requests: Sequence[Request], bodies: dict[New, Any]) -> list[str]:
    """Send every request that can be sent. Returns what was refused, and why."""
    from doorward.cli.describe import depends_on
    from doorward.cli.failures import Refused
    from doorward.cli.outside import Outside

    keys: dict[New, str] = {}
    refused: list[str] = []
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
            answer = session.client.write(request.method, request.path, value, about=request.label)
        except Refused as error:
            refused.extend(error.lines)
        else:
            if request.makes is not None:
                keys[request.makes] = answer.content["key"]
    return refused


def _with_keys(value: Any, keys: dict[New, str]) -> Any:
    from doorward.cli.describe import New

    if isinstance(value, New):
        return keys[value]
    if isinstance(value, dict):
        return {name: _with_keys(member, keys) for name, member in value.items()}
    return [_with_keys(element, keys) for element in value] if isinstance(value, list) else value
