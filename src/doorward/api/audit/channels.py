"""``/api/audit/sessions/<key>/channels``: the channels of a session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from doorward.api import errors
from doorward.api.audit.lists import BelowSession, Listed, below
from doorward.api.audit.parameters import Page
from doorward.api.audit.service import Audited, AuditService, scalars
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, envelope
from doorward.sessions.catalogue.results import Found
from doorward.sessions.catalogue.rows import ChannelRow
from doorward.sessions.central.questions import ItemsQuestion

TYPES: Final[Mapping[str, str]] = {
    "session-shell": "session shell",
    "session-exec": "session exec",
    "session-exec-scp": "session exec scp",
    "session-subsystem": "session subsystem",
    "session-subsystem-sftp": "session subsystem sftp",
    "local-forwards": "local forward",
    "remote-forwards": "remote forward",
    "auth-agent": "auth agent",
}
"""Types of channels as they are shown, by the names that policies have for them (REST guide); others are shown as they are."""


class Channels(BelowSession):
    """The channels of a session."""

    operations = below("Channels of the session, in order.")

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one channel, whether there is one or not."""
        return OneChannel(self.service, self.key, int(segment)) if re.fullmatch(r"[1-9]\d{0,8}", segment, re.ASCII) else None

    def template(self) -> tuple[str, Resource]:
        """Return what a channel is like."""
        return "number", OneChannel(self.service, self.key, 0)

    def items(self, found: Found, request: Request, page: Page) -> Listed:
        """Return channels."""
        told = self.ask(found, request, page, "channels")
        return [
            {
                "body": channel_body(found, channel),
                "key": str(channel.number),
                "meta": {"href": f"{request.href}/{channel.number}"},
            }
            for channel in told.channels
        ], told.matching


class OneChannel(Audited):
    """A channel of a session."""

    operations = {
        "GET": Operation("The channel.", answer_schema(body={"type": "object"}, key={"type": "string"}), errors=(404,))
    }  # fmt: skip

    def __init__(self, service: AuditService, key: str, number: int) -> None:
        super().__init__(service)
        self._key, self._number = key, number

    async def get(self, request: Request) -> Response:
        """Answer the channel."""
        body = await self.service.look(request, self._body, request)
        return envelope(request, str(self._number), body)

    def _body(self, request: Request) -> dict[str, Any]:
        found = self.service.find(request, self._key)
        told = self.service.ask(request, found, ItemsQuestion(key=self._key, kind="channels", number=self._number))
        if not told.channels:
            raise errors.not_found(request.href, str(self._number))
        return channel_body(found, told.channels[0])


def channel_body(found: Found, channel: ChannelRow) -> dict[str, Any]:
    """Return the body of a channel; times are Unix times in whole seconds (REST guide)."""
    began = found.row.began
    body: dict[str, Any] = {
        **scalars(channel.facts),
        "start_time": (began + channel.opened) // 1000,
        "type": TYPES.get(channel.type, channel.type),
        "verdict": channel.verdict,
    }
    if channel.rule is not None:
        body["rule"] = channel.rule
    if channel.closed is not None:
        body |= {
            "bytes_down": channel.down,
            "bytes_up": channel.up,
            "duration": (channel.closed - channel.opened) // 1000,
            "end_time": (began + channel.closed) // 1000,
        }
    return body
