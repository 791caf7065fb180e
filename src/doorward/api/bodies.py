"""Bodies of requests outside the configuration tree."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter

from doorward.api.request import Request
from doorward.tree.models import Body
from doorward.tree.problems import as_json
from doorward.tree.validation import check

_Sent = TypeVar("_Sent", bound=Body)


class Empty(Body):
    """No members."""


EMPTY: TypeAdapter[Empty] = TypeAdapter(Empty)
"""The body of a request that says all by itself."""


async def sent(request: Request, adapter: TypeAdapter[_Sent]) -> tuple[_Sent, list[dict[str, str]]]:
    """Return the body of a request, and warnings about it. Raises InvalidBody with every problem."""
    raw = await request.read()
    checked = check(adapter, request.decoded(raw) if raw else {}, strict=request.strict)
    return checked.model, as_json(checked.warnings, request.href)
