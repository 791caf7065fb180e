"""Configuration resources as bytes: encoded once for each snapshot and place, with a gap for ``remaining_seconds``."""

from __future__ import annotations

from typing import Any, NamedTuple

from doorward.transaction.secrets import owner_of
from doorward.tree.jsontext import encode
from doorward.tree.nodes import Collection, WriteOnce
from doorward.tree.places import Place
from doorward.tree.registry import Endpoint
from doorward.tree.snapshot import Snapshot, etag

TRANSACTION = "/api/transaction"
_GAP = b'"remaining_seconds":0'


class Encoded(NamedTuple):
    """A resource ready to be sent: bytes before and after the number of remaining seconds, and its entity tag."""

    before: bytes
    after: bytes
    etag: str


def encoded(snapshot: Snapshot, endpoint: Endpoint, key: str) -> Encoded:
    """Return a resource that exists."""
    href = f"{endpoint.path}/{key}" if key else endpoint.path
    found: Encoded | None = snapshot.memo.get(href)
    if found is None:
        found = snapshot.memo[href] = encode_resource(snapshot, endpoint, key)
    return found


def with_warnings(resource: Encoded, seconds: int, warnings: list[dict[str, Any]]) -> bytes:
    """Return the whole answer, with the warnings of a write in its ``meta``."""
    after = resource.after
    if warnings:  # the last member of meta by name
        after = after.removesuffix(b"}}") + b',"warnings":' + encode(warnings) + b"}}"
    return resource.before + str(seconds).encode() + after


def encode_resource(snapshot: Snapshot, endpoint: Endpoint, key: str, **more: Any) -> Encoded:
    """Encode a resource that exists; ``more`` are further members of its ``meta``."""
    tail = encode(meta_of(snapshot, endpoint, key, Place(endpoint.path, key).href) | more)
    cut = tail.index(_GAP) + len(_GAP) - 1
    if not key and not endpoint.holds_objects and endpoint.path not in snapshot.singletons:
        items = encode([{"key": child.key, "meta": {"href": child.path}} for child in endpoint.listed])
        return Encoded(b'{"items":' + items + b',"meta":' + tail[:cut], tail[cut + 1 :] + b"}", etag(items))
    if not key and isinstance(endpoint.node, Collection):
        items = _items(snapshot, endpoint)
        return Encoded(b'{"items":' + items + b',"meta":' + tail[:cut], tail[cut + 1 :] + b"}", etag(items))
    body = shown(snapshot, endpoint, key)
    name = encode(key or endpoint.key)
    return Encoded(b'{"body":' + body + b',"key":' + name + b',"meta":' + tail[:cut], tail[cut + 1 :] + b"}", etag(body))


def _items(snapshot: Snapshot, endpoint: Endpoint) -> bytes:
    """Encode the objects of a collection: references in them are not expanded."""
    objects = snapshot.objects(endpoint.path)
    return b"[%b]" % b",".join(
        b'{"body":%b,"key":%b,"meta":{"href":%b}}' % (document.stored, encode(key), encode(f"{endpoint.path}/{key}"))
        for key, document in ((key, objects.entries[key].document) for key in snapshot.keys(endpoint.path))
    )


def shown(snapshot: Snapshot, endpoint: Endpoint, key: str) -> bytes:
    """Return the encoded body of a singleton or object as GET shows it."""
    place = Place(endpoint.path, key)
    document = snapshot[place]
    if isinstance(endpoint.node, WriteOnce):
        owned = owner_of(snapshot, place)
        owners = [owner.href for owner in snapshot.who_refers_to(place.href)]
        return encode(endpoint.node.show(document.value, owners, owned[1] if owned else None))
    return document.shown


def meta_of(snapshot: Snapshot, endpoint: Endpoint, key: str, href: str) -> dict[str, Any]:
    """Return ``meta`` with the neighbours as they are in this snapshot."""
    if key:
        parent, siblings = endpoint.path, _objects_around(snapshot, endpoint, key, href)
    elif endpoint.parent is None:
        parent, siblings = None, (href, href, None, None)
    else:
        parent, siblings = endpoint.parent.path, _children_around(endpoint, endpoint.parent)
    first, last, previous, following = siblings
    return {
        **endpoint.node.links, "first": first, "href": href, "last": last, "next": following, "parent": parent,
        "previous": previous, "remaining_seconds": 0, "transaction": TRANSACTION,
    }  # fmt: skip


Around = tuple[str, str, str | None, str | None]


def _children_around(endpoint: Endpoint, parent: Endpoint) -> Around:
    listed = parent.listed
    first, last = listed[0].path, listed[-1].path
    if not endpoint.node.listed:
        return first, last, None, None
    index = listed.index(endpoint)
    return (
        first,
        last,
        listed[index - 1].path if index else None,
        listed[index + 1].path if listed[index + 1 :] else None,
    )


def _objects_around(snapshot: Snapshot, endpoint: Endpoint, key: str, href: str) -> Around:
    if isinstance(endpoint.node, WriteOnce):
        return href, href, None, None
    objects, order = snapshot.objects(endpoint.path), snapshot.keys(endpoint.path)
    index = objects.place_of(key) if order is objects.order else order.index(key)
    before = f"{endpoint.path}/{order[index - 1]}" if index else None
    after = f"{endpoint.path}/{order[index + 1]}" if index + 1 < len(order) else None
    return f"{endpoint.path}/{order[0]}", f"{endpoint.path}/{order[-1]}", before, after
