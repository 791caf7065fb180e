"""Login settings: ``/api/configuration/aaa/settings``. In force from the next login, or the next new password, on.

``bruteforce_protection``: so many refused logins from one client address (IPv6: one /64) within the window block logins from it
for a while; right passwords are refused as well then. Login sessions that live go on.

``password_policy`` is for local accounts. A password is judged by the commit that gives it to an account; passwords that accounts
have already stay as they are, and so do those that a restored revision brings back. An expired password is refused like a wrong
one, with the reason in the log; give the account a new one. The password of ``admin`` never expires. Nothing on the host changes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from doorward.tree.models import Body, Off, Switched
from doorward.tree.nodes import Singleton

PATH = "/api/configuration/aaa/settings"


class Protection(Body):
    """Blocks logins from an address after too many that were refused."""

    enabled: Literal[True] = Field(description="Switched on.")
    failures: int = Field(10, ge=1, le=1000, description="Refused logins that lead to a block.")
    window_seconds: int = Field(60, ge=1, le=3600, description="Seconds within which they count.")
    block_seconds: int = Field(300, ge=1, le=86400, description="Seconds for which logins from the address are blocked.")


class Policy(Body):
    """What the passwords of local accounts must be like."""

    enabled: Literal[True] = Field(description="Switched on.")
    minimum_length: int = Field(12, ge=1, le=150, description="Characters that a password has at least.")
    minimum_classes: int = Field(
        1, ge=1, le=4, description="How many of lower case, upper case, digits and other characters a password has at least."
    )
    dictionary_check: bool = Field(
        default=True, description="Refuse common passwords, the name of the account and the name of the host."
    )
    remembered_passwords: int = Field(
        0, ge=0, le=24, description="So many last passwords of the account, the present one included, can't be set again."
    )
    expiration_days: int | None = Field(
        None, ge=1, le=3650, description="Days after which a password expires, counted from when it was posted; null: never."
    )


_Protection = Annotated[Protection | Off, Switched()]
_Policy = Annotated[Policy | Off, Switched()]


class Settings(Body):
    """Settings of logins with a password."""

    bruteforce_protection: _Protection = Field(
        Protection(enabled=True), description="Protection against guessing; off: no address is blocked."
    )
    password_policy: _Policy = Field(Policy(enabled=True), description="Rules for new passwords; off: any will do.")


NODE: Singleton[Settings] = Singleton(
    title="Login settings",
    model=Settings,
    default={
        "bruteforce_protection": {"block_seconds": 300, "enabled": True, "failures": 10, "window_seconds": 60},
        "password_policy": {
            "dictionary_check": True,
            "enabled": True,
            "expiration_days": None,
            "minimum_classes": 1,
            "minimum_length": 12,
            "remembered_passwords": 0,
        },
    },
)
