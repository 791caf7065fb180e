"""``?revision=``, ``?at=``, ``?blame=``: a resource of the configuration as it was, and who set what (trust, section 2)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from doorward.access.sight import Sight
from doorward.api import errors
from doorward.api.encoding import Encoded, encode_resource
from doorward.areas.threads import HEAVY
from doorward.store.port import Revision, Store
from doorward.transaction.past import as_was, blame
from doorward.transaction.pipeline import Pipeline
from doorward.tree.nodes import Branch, Collection, WriteOnce
from doorward.tree.places import Place
from doorward.tree.registry import Endpoint
from doorward.tree.times import stamp

if TYPE_CHECKING:
    from doorward.api.request import Request

REVISIONS = "/api/revisions"
PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "at": {"type": "string", "format": "date-time", "description": "As it was at a time."},
    "blame": {"type": "boolean", "description": "`meta.blame` says who set what, by JSON pointer."},
    "revision": {"type": "integer", "minimum": 1, "description": "As it was in a revision."},
}
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_MAX_DIGITS = 15


def is_asked(request: Request) -> bool:
    """Whether a request is about the past, or about who set what."""
    return request.method in {"GET", "HEAD"} and not PARAMETERS.keys().isdisjoint(request.query)


async def past_resource(pipeline: Pipeline, request: Request, endpoint: Endpoint, key: str) -> Encoded:
    """Return a resource as it was, by the rights of now. Raises 400, 403 or 404.

    An open transaction does not matter: only revisions have a past. What names none is about the one that runs.
    """
    at, with_blame = _asked(request, endpoint, key)
    newest = pipeline.running.number

    def work() -> Encoded:
        number = _number(pipeline.store, at, newest)
        # The owners of a secret may stand anywhere.
        snapshot = as_was(
            pipeline.tree, pipeline.store, number, *([] if isinstance(endpoint.node, WriteOnce) else [endpoint.path])
        )
        place = Place(endpoint.path, key)
        document = snapshot.document(place)
        holds = not key and isinstance(endpoint.node, (Branch, Collection))
        if document is None and not holds:
            raise errors.not_found(request.href, key or endpoint.key)
        if isinstance(endpoint.node, WriteOnce) and not Sight(pipeline.tree, request.member.rights, snapshot).place(place):
            raise errors.unauthorized(request.href, write=False)
        more: dict[str, Any] = {"revision": number}
        if with_blame and document is not None:
            found = blame(pipeline.tree, pipeline.store, place, document, number)
            more["blame"] = {where: _shown(revision) for where, revision in found.items()}
        return encode_resource(snapshot, endpoint, key, **more)

    if with_blame:
        return await HEAVY.run(request.member.account, work)
    return await asyncio.to_thread(work)


def _shown(revision: Revision) -> dict[str, Any]:
    return {"author": revision.author, "revision": revision.number, "time": revision.time}


def _asked(request: Request, endpoint: Endpoint, key: str) -> tuple[int | str | None, bool]:
    """Return the revision that is asked for, its number or the time it ran at, and whether blame is. Raises 400."""
    query, wrong = request.query, []
    wrong += [("unknown_parameter", "This resource takes no such parameter.", name) for name in query.keys() - PARAMETERS]
    if query.get("blame", "false") not in {"false", "true"}:
        wrong.append(("type", "Must be true or false.", "blame"))
    with_blame = query.get("blame") == "true"
    if with_blame and not key and isinstance(endpoint.node, (Branch, Collection)):
        wrong.append(("unsuitable", "Ask this of an endpoint that has a body, or of one object.", "blame"))
    found: int | str | None = None
    if "revision" in query and "at" in query:
        wrong.append(("contradiction", "Name a revision or a time, not both.", "at"))
    elif "revision" in query:
        found = number_in(query["revision"])
        if found is None:
            wrong.append(("range", "Must be the number of a revision.", "revision"))
    elif "at" in query:
        found = _time(query["at"])
        if found is None:
            wrong.append(("format", "Must be a time as of RFC 3339, such as 2026-11-21T10:00:00Z.", "at"))
    if wrong:
        raise errors.invalid_query(sorted(wrong, key=lambda one: one[2]))
    return found, with_blame


def number_in(text: str) -> int | None:
    """Return the number of a revision in a query; None where it can be none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS and int(text) > 0 else None


def _time(text: str) -> str | None:
    """Return a time as revisions have it; None for what is none. A ``+`` that came through a query as a blank is one."""
    if not _RFC_3339.fullmatch(spelled := text[:11] + text[11:].replace(" ", "+")):
        return None
    try:
        return stamp(datetime.fromisoformat(spelled.upper()))
    except (OverflowError, ValueError):
        return None


def _number(store: Store, at: int | str | None, newest: int) -> int:
    if at is None:
        return newest
    if isinstance(at, int):
        if at > newest:
            raise errors.invalid_query([("range", f"The newest revision is {newest}.", "revision")])
        return at
    found = store.revision_at(at)
    if found is None:
        raise errors.invalid_query([("range", "Nothing was committed by then.", "at")])
    return found
