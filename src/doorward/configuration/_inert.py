"""Members that SPS knows and this release does not honour yet: only their inert value is taken. No endpoint."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from doorward.tree.models import Body


def only(inert: object, why: str) -> AfterValidator:
    """Return a validator that takes the inert value and says of every other one that, and why, it is not supported."""

    def check(value: Any) -> Any:
        if value != inert:
            raise PydanticCustomError("not_supported", why)
        return value

    return AfterValidator(check)


class NotYet(Body):
    """A block that can't be switched on in this release."""

    enabled: Annotated[bool, only(False, "Not supported by this release.")] = Field(  # noqa: FBT003 - the inert value
        description="Off: this release does not have it.", json_schema_extra={"const": False}
    )


NOT_YET = NotYet(enabled=False)
