"""Bodies of requests outside the configuration tree, and how what is wrong with them is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pydantic import TypeAdapter

from doorward.api import errors
from doorward.api.request import Request
from doorward.tree.models import Body
from doorward.tree.problems import InvalidBody, Problem
from doorward.tree.validation import check

_Sent = TypeVar("_Sent", bound=Body)


async def sent(request: Request, adapter: TypeAdapter[_Sent]) -> tuple[_Sent, list[dict[str, str]]]:
    """Return the body of a request, and warnings about it. Raises 400 with every problem."""
    raw = await request.read()
    try:
        checked = check(adapter, request.decoded(raw) if raw else {}, strict=request.strict)
    except InvalidBody as refused:
        raise errors.invalid_body(refused.problems) from None
    return checked.model, listed(checked.warnings, request.href)


def listed(problems: Iterable[Problem], path: str) -> list[dict[str, str]]:
    """Return problems as they are shown."""
    return [{"code": p.code, "message": p.message, "path": p.path or path, "pointer": p.pointer} for p in problems]
