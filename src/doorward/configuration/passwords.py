"""Passwords, written once and never shown: ``/api/configuration/passwords``.

A password is made by POST and used by one place, which refers to it by key. An account keeps only an argon2id hash of it. When
its owner lets go, the password vanishes at that commit. Nothing on the host changes.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from doorward.tree.fields import Confidential, bad_format
from doorward.tree.models import Body, Public
from doorward.tree.nodes import WriteOnce
from doorward.tree.times import now

PATH = "/api/configuration/passwords"


def printable(value: str) -> str:
    """Return a text without ASCII control characters."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value):  # noqa: PLR2004 - the ASCII control characters
        raise bad_format("Control characters are not allowed.")
    return value


Plain = Annotated[str, StringConstraints(min_length=1, max_length=150), AfterValidator(printable), Confidential]
"""The text of a password."""


class NewPassword(Body):
    """A password as it is posted."""

    plain: Plain = Field(description="The password, 1-150 characters without control characters.")

    @model_validator(mode="before")
    @classmethod
    def _no_hash(cls, sent: Any) -> Any:
        """Refuse a hash in place of the password: a policy could not judge it, and no mail server would take it."""
        if isinstance(sent, dict) and "hash" in sent:
            raise PydanticCustomError("not_supported", "A password is sent as it is, not as a hash.")
        return sent


class StoredPassword(Public):
    """A password as it is kept: ``created`` is when it was posted, in RFC 3339."""

    created: str


def make(model: NewPassword) -> tuple[dict[str, Any], str]:
    """Return the public body and the secret."""
    return {"created": now()}, model.plain


def show(body: dict[str, Any], owners: list[str], form: str | None) -> dict[str, Any]:
    """Add who owns the password, and in which form it is kept."""
    return {**body, "form": form or "plain", "owner": owners[0] if owners else None}


NODE: WriteOnce[StoredPassword] = WriteOnce(
    title="Passwords", scope="owner", model=NewPassword, public=StoredPassword, make=make, show=show
)
