"""Login sessions live in the event loop, commits and workers do not."""

from __future__ import annotations

import asyncio
from typing import Any

from doorward.appliance.login_sessions import LoginSessions


class Logins:
    """Counts how often sessions were looked at."""

    expired = 0

    def expire(self) -> None:
        self.expired += 1


def test_work_for_an_event_loop_that_has_ended_is_let_go() -> None:
    logins: Any = Logins()
    sessions = LoginSessions(logins)
    sessions.loop = asyncio.new_event_loop()
    sessions._expire()
    assert logins.expired == 0
    sessions.loop.run_until_complete(asyncio.sleep(0))
    sessions.loop.close()
    sessions._expire()
    assert logins.expired == 1
