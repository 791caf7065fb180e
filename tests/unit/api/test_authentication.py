"""Logins that come at once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

from doorward.access.accounts import Account
from doorward.access.authentication import Authenticator
from doorward.access.guard import Guard
from doorward.api.authentication import Authentication
from doorward.api.errors import ApiError
from doorward.api.request import Request
from doorward.configuration.aaa.settings import Protection
from doorward.events.events import Events
from tests.support.accounts import logins
from tests.support.waiting import PATIENCE

SETTINGS = Protection(enabled=True)


class Slow:
    """Refuses everybody, but not before it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.checked = 0

    def check(self, _credentials: tuple[str, str] | None) -> Account | None:
        self.checked += 1
        self.go.wait(PATIENCE)
        return None


class Silent:
    """Takes events."""

    def raise_(self, *_: object, **__: object) -> None:
        """Tell nobody."""


async def nothing() -> Any:
    """Receive nothing."""


def attempt(address: str) -> Request:
    scope = {"headers": [(b"authorization", b"Basic eDp5")], "query_string": b"", "client": (address, 1)}
    return Request("GET", ("api", "authentication"), scope, nothing, "0" * 32)


def test_guesses_sent_at_once_are_blocked_like_others() -> None:
    async def work() -> list[int]:
        resource = Authentication(logins(), cast("Authenticator", slow), Guard(lambda: SETTINGS), cast("Events", Silent()))
        tries = [asyncio.ensure_future(resource.get(attempt("192.0.2.1"))) for _ in range(40)]
        await asyncio.sleep(0)  # all have come before the first is refused
        slow.go.set()
        refusals = await asyncio.gather(*tries, return_exceptions=True)
        return [refusal.status for refusal in refusals if isinstance(refusal, ApiError)]

    slow = Slow()
    found = asyncio.run(work())
    assert (len(found), set(found)) == (40, {401, 429})
    assert slow.checked <= 12, "the ten that count, and those beside the last of them"
