"""The files of the web console, and what is prepared for whoever opens it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from doorward.api.console import Front


def test_what_pages_are_made_of_is_prepared_once_when_somebody_opens_the_console() -> None:
    prepared, may_end = threading.Semaphore(0), threading.Event()
    calls: list[int] = []

    def prepare() -> None:
        calls.append(len(calls))
        prepared.release()
        may_end.wait()

    async def asked(front: Front, path: str) -> int:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await front({"type": "http", "method": "GET", "path": path, "headers": []}, None, send)
        return int(sent[0]["status"])

    front = Front(None, prepare)
    assert calls == []
    # Nobody waits for it.
    assert [asyncio.run(asked(front, path)) for path in ("/console/", "/console/settings")] == [200, 200]
    prepared.acquire()
    may_end.set()
    assert calls == [0]
