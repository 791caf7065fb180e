"""The body of ``POST /api/commits``: changes, and how they are to be committed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

from doorward.api.request import Request
from doorward.transaction.commits import CommitMessage
from doorward.transaction.confirmation import MAX_CONFIRM_SECONDS
from doorward.tree.fields import matching
from doorward.tree.models import Body, Elements, Variants
from doorward.tree.problems import InvalidBody, Problem
from doorward.tree.validation import Checked, check

MAX_CHANGES = 1_000

_Path = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
_ID = matching(r"[A-Za-z0-9_.-]{1,64}", "An id has 1-64 of A-Z a-z 0-9 _ . -")


class _Change(Body):
    """What all changes say."""

    path: _Path = Field(description="A resource below /api/configuration; @new:<id> stands for the key of an object made before.")
    if_match: str | None = Field(None, description="As the header field If-Match of a single request.")


class Put(_Change):
    """Replace a body."""

    method: Literal["PUT"] = Field(description="As a single PUT.")
    body: Any = Field(description="The whole new body.")


class Post(_Change):
    """Make an object, or append to a list."""

    method: Literal["POST"] = Field(description="As a single POST.")
    body: Any = Field(description="The body. A reference may be @new:<id>.")
    id: Annotated[str, AfterValidator(_ID)] | None = Field(None, description="By which later changes refer to the new object.")


class Delete(_Change):
    """Remove an object."""

    method: Literal["DELETE"] = Field(description="As a single DELETE.")


AnyChange = Annotated[Put | Post | Delete, Variants("method")]


class BatchOrder(Body):
    """Changes that are to become the running configuration together."""

    changes: Annotated[list[AnyChange], Elements(most=MAX_CHANGES)] = Field(description="Carried out in this order.")
    commit_message: CommitMessage | None = Field(None, description="Why; blank counts as missing.")
    confirm_seconds: int | None = Field(
        None, ge=10, le=MAX_CONFIRM_SECONDS, description="Goes back by itself after so many seconds."
    )
    emergency: bool = Field(
        default=False, description="Do not wait for approval, as a member of the group for emergencies; needs a message."
    )


ORDER: TypeAdapter[BatchOrder] = TypeAdapter(BatchOrder)


def checked(request: Request, raw: bytes) -> Checked:
    """Return the order of a request. Raises InvalidBody or 400."""
    found = check(ORDER, request.decoded(raw), strict=request.strict)
    seen: dict[str, int] = {}
    twice = []
    for index, change in enumerate(found.model.changes):
        name = getattr(change, "id", None)
        if name is not None and seen.setdefault(name, index) != index:
            twice.append(Problem("duplicate", f"Change {seen[name]} has it.", f"/changes/{index}/id"))
    if twice:
        raise InvalidBody(twice)
    return found
