"""Requests to an application as ASGI makes them, without sockets."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doorward.access.accounts import Account
from doorward.access.logins import Logins, LoginSession
from tests.support.accounts import ADMIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from doorward.api.app import Application


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]["type"]


class Client:
    """Talks to an application, with the cookie of a login session or without."""

    def __init__(self, app: Application, logins: Logins | None = None, account: Account = ADMIN) -> None:
        self.app, self.login, self._cookie = app, None, ""
        if logins is not None:
            self.login, self._cookie = logins.open(account)

    login: LoginSession | None

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        fields: Mapping[str, str] | None = None,
        *,
        meanwhile: Callable[[], None] = lambda: None,
        for_users: bool = False,
    ) -> Answer:
        """Make a request; ``meanwhile`` is done before its body arrives. Fields have underscores for dashes."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"content_length": str(len(content)), **({"cookie": f"session_id={self._cookie}"} if self._cookie else {})}
        target, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "client": ("192.0.2.9", 5),
            "headers": [(name.replace("_", "-").encode(), text.encode()) for name, text in (named | dict(fields or {})).items()],
            "for_users": for_users,
        }
        sent: list[Any] = []

        async def receive() -> Any:
            meanwhile()
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        start, *rest = sent
        headers = {name.decode(): text.decode() for name, text in start["headers"]}
        return Answer(start["status"], headers, b"".join(message["body"] for message in rest))
