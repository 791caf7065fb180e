"""``/api/live``: what every page of a console shows, as server-sent events (HTML, section 9.2), as soon as it changes.

Each event is named ``state`` and tells all of it: the revision that runs, the commit that awaits its confirmation if there is
one, how many seconds the login session has left, and how often each topic has changed: cluster, health, runs, sessions. It does
not extend the login session: a console that is left open ends like any other, and is told so by an event named ``over``. Comments
every quarter of a minute show that the connection lives.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

from doorward.access.logins import Logins, LoginSession
from doorward.api.errors import ApiError
from doorward.api.request import Request, Response, StreamedBody
from doorward.api.resources import Operation, Resource
from doorward.transaction.confirmation import Confirmations

LOOK_SECONDS: Final = 0.25
"""How often it is looked for news, once for all who listen."""
LOGIN_SECONDS: Final = 2.0
"""How often it is looked whether the login sessions of those who listen go on, once for all of them."""
KEEPALIVE_SECONDS: Final = 15.0


def shown_trial(confirmations: Confirmations) -> dict[str, Any] | None:
    """Return the commit that awaits its confirmation, as everybody sees it; None where there is none."""
    pending = confirmations.pending
    if pending is None:
        return None
    return {
        "commit": f"/api/commits/{pending.commit_id}",
        "deadline": round(pending.deadline),
        "failure": pending.failure,
        "remaining": confirmations.remaining_seconds,
        "revision": pending.revision,
        "user": pending.user,
    }


class News:
    """Looks for what is new while somebody listens, and wakes all who do. Those who wait cost no timer of their own."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look
        self._listeners: dict[asyncio.Event, Callable[[], bool]] = {}
        self._task: asyncio.Task[None] | None = None
        self.count = 0
        """How often there was something new."""

    def join(self, is_due: Callable[[], bool]) -> asyncio.Event:
        """Return an event that is set when there is something new, or due for this listener; hand it to ``leave`` in the end."""
        event = asyncio.Event()
        self._listeners[event] = is_due
        if self._task is None:
            self._task = asyncio.ensure_future(self._watch())
        return event

    def leave(self, event: asyncio.Event) -> None:
        """Stop listening."""
        self._listeners.pop(event, None)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _watch(self) -> None:
        last, asked = self._look(), time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self._look()
            if now != last:
                last = now
                self.count += 1
                for event in self._listeners:
                    event.set()
            elif time.monotonic() - asked >= LOGIN_SECONDS:
                asked = time.monotonic()
                for event, is_due in self._listeners.items():
                    if is_due():
                        event.set()


class Topics:
    """Counts how often what pages show has changed, topic by topic; the values themselves are for who may read them."""

    def __init__(self, looks: Mapping[str, Callable[[], object]]) -> None:
        self._looks = looks
        self._last: dict[str, object] = {}
        self.counts = dict.fromkeys(looks, 0)

    def look(self) -> tuple[int, ...]:
        """Return the counts as they are by now."""
        for name, look in self._looks.items():
            now = look()
            if now != self._last.setdefault(name, now):
                self._last[name] = now
                self.counts[name] += 1
        return tuple(self.counts.values())


class LiveNews(Resource):
    """What changes by itself, for consoles."""

    operations = {
        "GET": Operation(
            "What runs, what awaits its confirmation, how long the login session lives: as it changes.",
            {"type": "string"},
            errors=(503,),
            media_type="text/event-stream",
            description="Server-sent events named state, each with revision, trial, login (seconds), and news: how often each "
            "topic has changed. Does not extend the login session.",
        )
    }
    extends = False
    listed = False

    def __init__(
        self,
        revision: Callable[[], int],
        confirmations: Confirmations,
        logins: Logins,
        looks: Mapping[str, Callable[[], object]],
    ) -> None:
        self._revision, self._confirmations, self._logins = revision, confirmations, logins
        self._topics = topics = Topics(looks)
        self._news = News(lambda: (revision(), confirmations.pending, topics.look()))

    async def get(self, request: Request) -> Response:
        """Answer the events."""
        headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(b"", headers=headers)
        return Response(StreamedBody(self._events(request, request.member)), headers=headers)

    async def _events(self, request: Request, login: LoginSession) -> AsyncGenerator[bytes | None, None]:
        told = (self._news.count, login.used)
        due = self._due(login)

        def is_due() -> bool:
            # Asked often, for each console. What rights follow from comes with a new revision, which wakes all of them.
            return login.used != told[1] or login.ended or time.monotonic() >= due or _is_withdrawn(login)

        news = self._news.join(is_due)
        try:
            yield self._event(login)
            while True:
                await news.wait()
                news.clear()
                if self._is_over(request):
                    yield b"event: over\ndata: {}\n\n"
                    return
                now, due = (self._news.count, login.used), self._due(login)
                yield b":\n\n" if now == told else self._event(login)
                told = now
        finally:
            self._news.leave(news)

    def _due(self, login: LoginSession) -> float:
        """Return when a listener has to be told something again, whatever happens: by the end of its login session."""
        return time.monotonic() + min(KEEPALIVE_SECONDS, self._logins.remaining(login))

    @staticmethod
    def _is_over(request: Request) -> bool:
        try:
            request.check_again()
        except ApiError:
            return True
        return False

    def _event(self, login: LoginSession) -> bytes:
        state = {
            "login": self._logins.remaining(login),
            "news": self._topics.counts,
            "revision": self._revision(),
            "trial": shown_trial(self._confirmations),
        }
        return f"event: state\ndata: {json.dumps(state, ensure_ascii=False, sort_keys=True)}\n\n".encode()


def _is_withdrawn(login: LoginSession) -> bool:
    """Whether a login session is that of a token which is good no more."""
    return login.grant is not None and not login.grant.is_live
