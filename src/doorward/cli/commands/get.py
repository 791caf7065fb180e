"""``doorward get``: reads; what it prints, ``set`` and ``apply`` take back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from doorward.cli.commands.arguments import OptionalPath
from doorward.cli.options import ConnectionOptions, Format, Output, command

if TYPE_CHECKING:
    from doorward.cli.addresses import ResourceAddress
    from doorward.cli.session import CommandSession
    from doorward.tree.nodes import Collection
    from doorward.tree.registry import Endpoint


@command
def get(connection: ConnectionOptions, output: Output, path: OptionalPath = "") -> None:
    """Print a setting, the objects of a collection, or everything below a branch, as YAML.

    A branch is printed in the form that `doorward apply` takes, with a variable of the environment in place of each secret;
    without PATH, all that this release honours. JSON is what the API answers, references as keys.
    """
    from doorward.cli.addresses import locate
    from doorward.cli.render import emit
    from doorward.cli.session import connected

    with connected(connection) as session:
        address = locate(session.tree, session.remote, path)
        value = _raw(session, address) if output.format is Format.json else _readable(session, address)
    emit(value, output.format or Format.yaml)


def _raw(session: CommandSession, address: ResourceAddress) -> Any:
    from doorward.cli.members import member
    from doorward.tree.nodes import Branch

    if isinstance(address.endpoint.node, Branch):
        found: Any = _values(session, address.endpoint, lambda endpoint: _plain(session, endpoint.path))
        for name in address.href.split("/")[3:]:
            found = found.get(name, {})
        return found
    return member(_plain(session, address.href), address.member)


def _plain(session: CommandSession, href: str) -> Any:
    content = session.client.get(href).content
    return content["body"] if "body" in content else content["items"]


def _readable(session: CommandSession, address: ResourceAddress) -> Any:
    from doorward.cli.failures import Usage, short
    from doorward.cli.members import member
    from doorward.cli.naming import with_names
    from doorward.tree.nodes import Branch, Collection, Valued, WriteOnce

    endpoint, node = address.endpoint, address.endpoint.node
    if isinstance(node, Branch):
        return _description(session, endpoint)
    if isinstance(node, Collection) and not address.key:
        return _objects(session, endpoint, node)
    if isinstance(node, WriteOnce) and not address.key:
        raise Usage(f"{short(address.href)} can be added to, but not listed; name a key.")
    body = session.client.body(address.href)
    return member(with_names(node, body, session.remote) if isinstance(node, Valued) else body, address.member)


def _objects(
    session: CommandSession, endpoint: Endpoint, node: Collection[Any], *, described: bool = False
) -> dict[str, Any]:  # fmt: skip
    """Return the objects of a collection by name. ``described``: with secrets as a description has them."""
    from doorward.cli.naming import nameless, with_names
    from doorward.cli.secrets import described_secrets

    remote = session.remote
    found = {}
    for key, body in remote.objects(endpoint.path).items():
        name = remote.name(endpoint.path, key)
        whole = described_secrets(node, body, remote, f"{endpoint.path}/{name}") if described else body
        found[name] = nameless(endpoint, with_names(node, whole, remote))
    return found


def _description(session: CommandSession, branch: Endpoint) -> dict[str, Any]:
    """Return what stands below a branch, as a description that ``doorward apply`` takes."""
    found = {"configuration": _values(session, branch, lambda endpoint: _whole(session, endpoint))}
    return {"node": node, **found} if (node := session.remote.node) else found


def _values(session: CommandSession, branch: Endpoint, read: Callable[[Endpoint], Any]) -> dict[str, Any]:
    """Return what can be described below a branch, in the shape of the tree; what the account may not read is left out."""
    from doorward.cli.failures import short
    from doorward.client.errors import ApiRefusedError

    found: dict[str, Any] = {}
    for endpoint in session.tree:
        if not f"{endpoint.path}/".startswith(f"{branch.path}/") or not _described(endpoint):
            continue
        try:
            value = read(endpoint)
        except ApiRefusedError as refused:
            if refused.status != 403:  # noqa: PLR2004 - HTTP's number
                raise
            typer.secho(f"{short(endpoint.path)} is left out: {refused.message}", err=True, dim=True)
            continue
        *above, last = endpoint.path.split("/")[3:]
        inner = found
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return found


def _whole(session: CommandSession, endpoint: Endpoint) -> Any:
    from doorward.cli.naming import with_names
    from doorward.cli.secrets import described_secrets
    from doorward.tree.nodes import Collection, Valued

    node = endpoint.node
    if isinstance(node, Collection):
        return _objects(session, endpoint, node, described=True)
    if not isinstance(node, Valued):
        raise TypeError(f"{endpoint.path} has nothing to describe.")
    body = described_secrets(node, session.remote.value(endpoint.path), session.remote, endpoint.path)
    return with_names(node, body, session.remote)


def _described(endpoint: Endpoint) -> bool:
    """Whether an endpoint can be part of a description: it takes other bodies than its default."""
    from doorward.tree.nodes import Collection, Valued

    node = endpoint.node
    if isinstance(node, Collection) and not node.unique:
        return False
    return isinstance(node, Valued) and not node.is_only_shown
