"""``/api/tools``: questions that the appliance asks its surroundings (protocol, section 11). No transaction."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, TypeAdapter

from doorward.api import errors
from doorward.api.bodies import sent
from doorward.api.firmware import BASIC, Unsupported
from doorward.api.remote_calls import afar
from doorward.api.request import Request, Response
from doorward.api.resources import Container, Operation, Resource, answer_schema, envelope
from doorward.configuration.management import email
from doorward.events.notifications import Outcome
from doorward.transaction.candidate import Running
from doorward.tree.fields import HostName, Mail
from doorward.tree.models import Body
from doorward.tree.problems import Problem

_RESOLVE_SECONDS = 10.0


class Question(Body):
    """Which name is looked up, and for what."""

    hostname: HostName = Field(description="The name.")
    protocol: Literal["TCP", "UDP"] = Field(description="What the addresses are wanted for.")


_QUESTION: TypeAdapter[Question] = TypeAdapter(Question)
_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


class HostsByName(Resource):
    """Looks a name up, as the appliance itself sees it."""

    operations = {
        "POST": Operation(
            "The addresses of a host name.",
            answer_schema(body={"type": "object"}, key={"const": "hosts-by-name"}),
            body=_QUESTION.json_schema(),
            errors=(400, 403),
        )
    }
    privilege = BASIC

    async def post(self, request: Request) -> Response:
        """Answer the addresses, none for an unknown name."""
        question, warnings = await sent(request, _QUESTION)
        return _answer(request, "hosts-by-name", {"addresses": await self._resolve(question)}, warnings)

    async def _resolve(self, question: Question) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                rows = await loop.getaddrinfo(question.hostname, None, type=_KINDS[question.protocol])
        except (OSError, TimeoutError):
            return []
        return list(dict.fromkeys(str(address[0]) for *_, address in rows))


class Trial(Body):
    """Who gets a mail that tries the settings."""

    recipient: Mail | None = Field(None, description="Who gets the mail; null: admin_address of management/email.")


_TRIAL: TypeAdapter[Trial] = TypeAdapter(Trial)
_OUTCOME = {
    "type": "object",
    "properties": {
        "code": {"enum": ["auth", "connect", "rejected", "resolve", "tls", None]},
        "message": {"type": "string"},
        "result": {"enum": ["failed", "sent"]},
    },
    "required": ["code", "message", "result"],
}


class MailTest(Resource):
    """Sends a mail at once by the running settings."""

    operations = {
        "POST": Operation(
            "Try the settings of management/email with a mail.",
            answer_schema(body=_OUTCOME, key={"const": "mailtest"}),
            body=_TRIAL.json_schema(),
            errors=(400, 403),
        )
    }
    privilege = BASIC

    def __init__(self, running: Callable[[], Running], try_mail: Callable[[str], Outcome]) -> None:
        self._running, self._try = running, try_mail

    async def post(self, request: Request) -> Response:
        """Answer whether the mail server took the mail, or at which step it did not."""
        trial, warnings = await sent(request, _TRIAL)
        settings = self._running().snapshot.read(email.NODE)
        recipient = trial.recipient or settings.admin_address
        missing = []
        if settings.smtp_server is None:
            missing.append(Problem("required_with", "No mail server is set.", "/smtp_server", email.PATH))
        if recipient is None:
            missing.append(Problem("required_with", "Needed while admin_address is not set.", "/recipient", request.href))
        if missing or recipient is None:
            raise errors.meaning(missing)
        outcome = await afar(self._try, recipient)
        body = {"code": outcome.code, "message": outcome.message, "result": outcome.result}
        return _answer(request, "mailtest", body, warnings)


def _answer(request: Request, key: str, body: dict[str, Any], warnings: list[dict[str, str]]) -> Response:
    return envelope(request, key, body, **({"warnings": warnings} if warnings else {}))


def tools(running: Callable[[], Running], try_mail: Callable[[str], Outcome]) -> Container:
    """Return ``/api/tools``."""
    return Container({"hosts-by-name": HostsByName(), "ldaptest": Unsupported(), "mailtest": MailTest(running, try_mail)})
