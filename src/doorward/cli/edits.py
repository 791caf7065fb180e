"""The changes that commands make, as values: written into a transaction now, or kept and written later."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Literal

from msgspec import Struct

from doorward.cli import kinds
from doorward.cli.addresses import ResourceAddress, locate
from doorward.cli.failures import Usage, short
from doorward.cli.members import member, with_member
from doorward.cli.naming import with_keys
from doorward.cli.render import OutputLine
from doorward.cli.session import CommandSession
from doorward.cli.values import parsed
from doorward.tree.changes import MISSING
from doorward.tree.nodes import Branch, Collection, ListSingleton, Node, Valued, WriteOnce


class CommandEdit(Struct, frozen=True):
    """One change. ``text`` is the VALUE of ``set`` and ``add`` as it was given, ``value`` what is described or was edited."""

    do: Literal["set", "add", "remove", "replace", "apply"]
    path: str = ""
    text: str = ""
    value: Any = None
    prune: bool = False


def perform(session: CommandSession, edit: CommandEdit, match: str = "") -> list[OutputLine]:
    """Write a change into the transaction of a session; ``match`` is the entity tag that a resource must have.

    Returns what is worth saying. Raises Failure.
    """
    if edit.do == "apply":
        from doorward.cli.applying import write

        write(session, edit.value, prune=edit.prune)
        return []
    address = locate(session.tree, session.remote, edit.path)
    match edit.do:
        case "add":
            return _post(session, address, edit.text)
        case "remove":
            _delete(session, address)
        case _:
            _put(session, address, edit, match)
    return []


def _put(session: CommandSession, address: ResourceAddress, edit: CommandEdit, match: str) -> None:
    node = _valued(address)
    if not address.has_body:
        raise Usage(
            "A collection is not replaced as a whole; `doorward add` makes an object, `doorward apply` describes them all."
        )
    before = session.client.body(address.href) if address.member else None
    value = edit.value
    if edit.do == "set":
        value = parsed(edit.text, kinds.kind_at(node.model, before, address.member))
    body = with_member(before, address.member, value) if address.member else value
    body = with_keys(session.tree, node, body, session.remote)
    session.client.write("PUT", address.href, body, match=match)
    if address.member and body != before and session.client.body(address.href) == before:
        why = "It stays as it is: the member is read-only, or the value means the same."
        session.client.warnings.append({"path": address.href, "pointer": f"/{'/'.join(address.member)}", "message": why})


def _post(session: CommandSession, address: ResourceAddress, text: str) -> list[OutputLine]:
    if address.member:
        _append(session, address, text)
        return []
    if address.key:
        raise _not_added_to(address)
    return _add(address.endpoint.node, session, address, text)


@singledispatch
def _add(_node: Node, _session: CommandSession, address: ResourceAddress, _text: str) -> list[OutputLine]:
    """Add what a text says to what stands at an address; return what is worth saying."""
    raise _not_added_to(address)


@_add.register(ListSingleton)
def _(node: ListSingleton[Any], session: CommandSession, address: ResourceAddress, text: str) -> list[OutputLine]:
    value = parsed(text, kinds.element(node.model, []), several=True)
    elements = with_keys(session.tree, node, value if isinstance(value, list) else [value], session.remote)
    session.client.write("POST", address.href, elements if isinstance(value, list) else elements[0])
    return []


@_add.register(Collection)
def _(node: Collection[Any], session: CommandSession, address: ResourceAddress, text: str) -> list[OutputLine]:
    return _made(session, address, with_keys(session.tree, node, parsed(text), session.remote))


@_add.register(WriteOnce)
def _(_node: WriteOnce[Any], session: CommandSession, address: ResourceAddress, text: str) -> list[OutputLine]:
    return _made(session, address, parsed(text))


def _made(session: CommandSession, address: ResourceAddress, value: Any) -> list[OutputLine]:
    answer = session.client.write("POST", address.href, value)
    return [OutputLine(f"Key: {answer.content['key']}")]


def _not_added_to(address: ResourceAddress) -> Usage:
    return Usage(f"{short(address.href)} is no list and no collection; `doorward set` replaces it.")


def _append(session: CommandSession, address: ResourceAddress, text: str) -> None:
    """Append to a list inside a body."""
    node, body = _valued(address), session.client.body(address.href)
    present = member(body, address.member)
    if not isinstance(present, list):
        raise Usage("Only a list can be added to; `doorward set` replaces a member.")
    value = parsed(text, kinds.element(kinds.kind_at(node.model, body, address.member), present))
    whole = with_member(body, address.member, [*present, value])
    session.client.write("PUT", address.href, with_keys(session.tree, node, whole, session.remote))


def _delete(session: CommandSession, address: ResourceAddress) -> None:
    _valued(address)
    if address.member:
        body = with_member(session.client.body(address.href), address.member, MISSING)
        session.client.write("PUT", address.href, body)
    elif address.key:
        session.client.write("DELETE", address.href)
    else:
        raise Usage(f"{short(address.href)} is no object and no member, and can't be removed; `doorward set` replaces it.")


def _valued(address: ResourceAddress) -> Valued[Any]:
    match address.endpoint.node:
        case Valued() as node:
            return node
        case Branch():
            raise Usage(f"{short(address.href)} is a branch; name what is below it.")
        case _:
            raise Usage(f"{short(address.href)} is written once and never changed.")
