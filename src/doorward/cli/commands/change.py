"""``doorward set``, ``add`` and ``remove``: one write, one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from doorward.cli.commands.arguments import PathArgument, ValueArgument, read_value
from doorward.cli.failures import Usage
from doorward.cli.options import Committing, Connection, command

if TYPE_CHECKING:
    from doorward.cli.addresses import Address
    from doorward.cli.session import Session


@command
def set_(path: PathArgument, value: ValueArgument, connection: Connection, how: Committing) -> None:
    """Replace a setting, an object, or one member of it.

    doorward set datetime/timezone Europe/Budapest

    doorward set management/webinterface.timeout 20
    """
    new = read_value(value)
    _transact(connection, how, path, lambda session, address: _put(session, address, new))


@command
def add(path: PathArgument, value: ValueArgument, connection: Connection, how: Committing) -> None:
    """Append to a list, or make an object in a collection.

    doorward add datetime/ntp_servers '{selection: ip, value: 192.0.2.123}'
    """
    new = read_value(value)
    _transact(connection, how, path, lambda session, address: _post(session, address, new))


@command
def remove(path: PathArgument, connection: Connection, how: Committing) -> None:
    """Remove an object, an element of a list, or an entry of an ordered map.

    doorward remove datetime/ntp_servers#0
    """
    _transact(connection, how, path, _delete)


def _transact(connection: Connection, how: Committing, path: str, write: Any) -> None:
    from doorward.cli.addresses import locate
    from doorward.cli.session import connected
    from doorward.cli.transact import transact

    with connected(connection) as session:
        transact(session, how, lambda: write(session, locate(session.tree, session.remote, path)))


def _put(session: Session, address: Address, value: Any) -> None:
    from doorward.cli.members import with_member
    from doorward.cli.naming import with_keys

    node = _valued(address)
    if not address.has_body:
        raise Usage(
            "A collection is not replaced as a whole; `doorward add` makes an object, `doorward apply` describes them all."
        )
    if not address.member:
        session.client.write("PUT", address.href, with_keys(session.tree, node, value, session.remote))
        return
    before = session.client.body(address.href)
    body = with_keys(session.tree, node, with_member(before, address.member, value), session.remote)
    session.client.write("PUT", address.href, body)
    if body != before and session.client.body(address.href) == before:
        why = "It stays as it is: the member is read-only, or the value means the same."
        session.client.warnings.append({"path": address.href, "pointer": f"/{'/'.join(address.member)}", "message": why})


def _post(session: Session, address: Address, value: Any) -> None:
    from doorward.cli.failures import short
    from doorward.cli.naming import with_keys
    from doorward.tree.nodes import Collection, ListSingleton, WriteOnce

    node = address.endpoint.node
    if address.member:
        _append(session, address, value)
        return
    if address.key or not isinstance(node, (Collection, ListSingleton, WriteOnce)):
        raise Usage(f"{short(address.href)} is no list and no collection; `doorward set` replaces it.")
    if isinstance(node, Collection):
        value = with_keys(session.tree, node, value, session.remote)
    elif isinstance(node, ListSingleton):
        elements = with_keys(session.tree, node, value if isinstance(value, list) else [value], session.remote)
        value = elements if isinstance(value, list) else elements[0]
    answer = session.client.write("POST", address.href, value)
    if not isinstance(node, ListSingleton):
        typer.echo(f"Key: {answer.content['key']}")


def _append(session: Session, address: Address, value: Any) -> None:
    """Append to a list inside a body."""
    from doorward.cli.members import member

    present = member(session.client.body(address.href), address.member)
    if not isinstance(present, list):
        raise Usage("Only a list can be added to; `doorward set` replaces a member.")
    _put(session, address, [*present, value])


def _delete(session: Session, address: Address) -> None:
    from doorward.cli.failures import short
    from doorward.cli.members import with_member
    from doorward.tree.changes import MISSING

    _valued(address)
    if address.member:
        body = with_member(session.client.body(address.href), address.member, MISSING)
        session.client.write("PUT", address.href, body)
    elif address.key:
        session.client.write("DELETE", address.href)
    else:
        raise Usage(f"{short(address.href)} is no object and no member, and can't be removed; `doorward set` replaces it.")


def _valued(address: Address) -> Any:
    from doorward.cli.failures import short
    from doorward.tree.nodes import Branch, WriteOnce

    node = address.endpoint.node
    if isinstance(node, Branch):
        raise Usage(f"{short(address.href)} is a branch; name what is below it.")
    if isinstance(node, WriteOnce):
        raise Usage(f"{short(address.href)} is written once and never changed.")
    return node
