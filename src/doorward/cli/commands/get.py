"""``doorward get``: reads; what it prints, ``set`` and ``apply`` take back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.commands.arguments import PATH_HELP, complete
from doorward.cli.options import Connection, command

if TYPE_CHECKING:
    from doorward.cli.addresses import Address
    from doorward.cli.session import Session
    from doorward.tree.registry import Endpoint

OptionalPath = Annotated[str, typer.Argument(help=PATH_HELP, metavar="[PATH]", autocompletion=complete, show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="JSON as the API answers it, references as keys.")]


@command
def get(connection: Connection, path: OptionalPath = "", json: AsJson = False) -> None:  # noqa: FBT002 - Typer's option
    """Print a setting, the objects of a collection, or everything below a branch, as YAML.

    A branch is printed in the form that `doorward apply` takes; without PATH, all that this release honours.
    """
    from doorward.cli.addresses import locate
    from doorward.cli.render import ordered
    from doorward.cli.session import connected
    from doorward.cli.yamltext import dump

    with connected(connection) as session:
        address = locate(session.tree, session.remote, path)
        value = _raw(session, address) if json else _readable(session, address)
    if json:
        from json import dumps

        typer.echo(dumps(value, indent=2, ensure_ascii=False))
    else:
        typer.echo(dump(ordered(value)), nl=False)


def _raw(session: Session, address: Address) -> Any:
    from doorward.cli.members import member

    content = session.client.get(address.href).content
    return member(content["body"], address.member) if "body" in content else content["items"]


def _readable(session: Session, address: Address) -> Any:
    from doorward.cli.failures import Usage, short
    from doorward.cli.members import member
    from doorward.cli.naming import with_names
    from doorward.tree.nodes import Branch, Collection, Valued, WriteOnce

    endpoint, node = address.endpoint, address.endpoint.node
    if isinstance(node, Branch):
        return _branch(session, endpoint)
    if isinstance(node, Collection) and not address.key:
        return _objects(session, endpoint)
    if isinstance(node, WriteOnce) and not address.key:
        raise Usage(f"{short(address.href)} can be added to, but not listed; name a key.")
    body = session.client.body(address.href)
    return member(with_names(node, body, session.remote) if isinstance(node, Valued) else body, address.member)


def _objects(session: Session, endpoint: Endpoint) -> dict[str, Any]:
    """Return the objects of a collection by name."""
    from doorward.cli.naming import nameless, with_names
    from doorward.tree.nodes import Collection

    node, remote = endpoint.node, session.remote
    assert isinstance(node, Collection)  # noqa: S101 - asked for these only
    return {
        remote.name(endpoint.path, key): nameless(endpoint, with_names(node, body, remote))
        for key, body in remote.objects(endpoint.path).items()
    }


def _branch(session: Session, branch: Endpoint) -> dict[str, Any]:
    """Return what stands below a branch, as a description that ``doorward apply`` takes."""
    from doorward.cli.failures import Refused, short

    found: dict[str, Any] = {}
    for endpoint in session.tree:
        if not f"{endpoint.path}/".startswith(f"{branch.path}/") or not _described(endpoint):
            continue
        try:
            value = _whole(session, endpoint)
        except Refused as refused:
            if refused.status != 403:  # noqa: PLR2004 - HTTP's number
                raise
            typer.secho(f"{short(endpoint.path)} is left out: {refused.lines[0].partition(': ')[2]}", err=True, dim=True)
            continue
        *above, last = endpoint.path.split("/")[3:]
        inner = found.setdefault("configuration", {})
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return found or {"configuration": {}}


def _whole(session: Session, endpoint: Endpoint) -> Any:
    from doorward.cli.naming import with_names
    from doorward.tree.nodes import Collection, Valued

    if isinstance(endpoint.node, Collection):
        return _objects(session, endpoint)
    assert isinstance(endpoint.node, Valued)  # noqa: S101 - nothing else is described
    return with_names(endpoint.node, session.remote.value(endpoint.path), session.remote)


def _described(endpoint: Endpoint) -> bool:
    """Whether an endpoint can be part of a description: it takes other bodies than its default."""
    from doorward.tree.nodes import Collection, Singleton, Valued

    node = endpoint.node
    if isinstance(node, Collection) and not node.unique:
        return False
    return isinstance(node, Valued) and node.supported and not (isinstance(node, Singleton) and node.read_only)
