"""``/api/tools``: questions that the appliance asks its surroundings (protocol, section 11). No transaction."""

from __future__ import annotations

import asyncio
import socket
from typing import Literal

from pydantic import Field, TypeAdapter

from doorward.api import errors
from doorward.api.firmware import BASIC, Unsupported
from doorward.api.request import Answer, Request
from doorward.api.resources import Container, Operation, Resource, answer_schema, envelope
from doorward.tree.fields import HostName
from doorward.tree.models import Body
from doorward.tree.problems import BodyRefused
from doorward.tree.validation import check

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

    async def post(self, request: Request) -> Answer:
        """Answer the addresses, none for an unknown name."""
        try:
            question = check(_QUESTION, request.decoded(await request.read()), strict=request.strict).model
        except BodyRefused as refused:
            raise errors.invalid_body(refused.problems) from None
        found = await self._resolve(question)
        return envelope(request, "hosts-by-name", {"addresses": found})

    async def _resolve(self, question: Question) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                rows = await loop.getaddrinfo(question.hostname, None, type=_KINDS[question.protocol])
        except (OSError, TimeoutError):
            return []
        return list(dict.fromkeys(str(address[0]) for *_, address in rows))


def tools() -> Container:
    """Return ``/api/tools``."""
    return Container({"hosts-by-name": HostsByName(), "ldaptest": Unsupported()})
