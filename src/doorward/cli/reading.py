"""What stands at a place, as the API answers it or as a description has it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import typer

from doorward.cli.addresses import ResourceAddress
from doorward.cli.failures import Usage, short
from doorward.cli.members import member
from doorward.cli.naming import nameless, with_names
from doorward.cli.secrets import described_secrets
from doorward.cli.session import CommandSession
from doorward.client.errors import ApiRefusedError
from doorward.tree.nodes import Branch, Collection, Valued, WriteOnce
from doorward.tree.registry import Endpoint


def plain(session: CommandSession, address: ResourceAddress) -> Any:
    """Return what the API answers; of a branch, of everything below it that can be described."""
    if not isinstance(address.endpoint.node, Branch):
        return member(_content(session, address.href), address.member)
    found: Any = _values(session, address.endpoint, lambda endpoint: _content(session, endpoint.path))
    for name in address.href.split("/")[3:]:
        found = found.get(name, {})
    return found


def readable(session: CommandSession, address: ResourceAddress) -> Any:
    """Return it with names in place of keys; a branch as a description that ``doorward apply`` takes. Raises Usage."""
    if address.key:
        return _body(session, address)
    match address.endpoint.node:
        case Branch():
            return _description(session, address.endpoint)
        case Collection() as node:
            return _objects(session, address.endpoint, node)
        case WriteOnce():
            raise Usage(f"{short(address.href)} can be added to, but not listed; name a key.")
        case _:
            return _body(session, address)


def _content(session: CommandSession, href: str) -> Any:
    content = session.client.get(href).content
    return content["body"] if "body" in content else content["items"]


def _body(session: CommandSession, address: ResourceAddress) -> Any:
    node, body = address.endpoint.node, session.client.body(address.href)
    return member(with_names(node, body, session.remote) if isinstance(node, Valued) else body, address.member)


def _objects(
    session: CommandSession, endpoint: Endpoint, node: Collection[Any], *, described: bool = False
) -> dict[str, Any]:  # fmt: skip
    """Return the objects of a collection by name. ``described``: with secrets as a description has them."""
    remote = session.remote
    found = {}
    for key, body in remote.objects(endpoint.path).items():
        name = remote.name(endpoint.path, key)
        whole = described_secrets(node, body, remote, f"{endpoint.path}/{name}") if described else body
        found[name] = nameless(endpoint, with_names(node, whole, remote))
    return found


def _description(session: CommandSession, branch: Endpoint) -> dict[str, Any]:
    found = {"configuration": _values(session, branch, lambda endpoint: _described(session, endpoint))}
    return {"node": node, **found} if (node := session.remote.node) else found


def _values(session: CommandSession, branch: Endpoint, read: Callable[[Endpoint], Any]) -> dict[str, Any]:
    """Return what can be described below a branch, in the shape of the tree; what the account may not read is left out."""
    found: dict[str, Any] = {}
    for endpoint in session.tree:
        if not f"{endpoint.path}/".startswith(f"{branch.path}/") or not _can_be_described(endpoint):
            continue
        try:
            value = read(endpoint)
        except ApiRefusedError as refused:
            if refused.status != HTTPStatus.FORBIDDEN:
                raise
            typer.secho(f"{short(endpoint.path)} is left out: {refused.message}", err=True, dim=True)
            continue
        *above, last = endpoint.path.split("/")[3:]
        inner = found
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return found


def _described(session: CommandSession, endpoint: Endpoint) -> Any:
    match endpoint.node:
        case Collection() as node:
            return _objects(session, endpoint, node, described=True)
        case Valued() as node:
            body = described_secrets(node, session.remote.value(endpoint.path), session.remote, endpoint.path)
            return with_names(node, body, session.remote)
        case _:
            raise TypeError(f"{endpoint.path} has nothing to describe.")


def _can_be_described(endpoint: Endpoint) -> bool:
    """Whether an endpoint takes other bodies than its default, and has names for its objects."""
    match endpoint.node:
        case Collection() as node:
            return bool(node.unique) and not node.is_only_shown
        case Valued() as node:
            return not node.is_only_shown
        case _:
            return False
