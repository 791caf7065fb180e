"""Doorward whose logins happen 40 days after now, with a password hash that takes no time: for passwords that get old."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Self

from argon2 import PasswordHasher

from doorward.access import authentication, passwords
from doorward.cli import main


class Later(datetime):
    """The time, 40 days on."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(days=40)


authentication.datetime = Later  # type: ignore[attr-defined]
passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
main()
