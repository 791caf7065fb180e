"""``/api/audit/sessions/<key>``: one session, and what is below it."""

from __future__ import annotations

from typing import Final

from doorward.api.audit.channels import Channels
from doorward.api.audit.files import TrailFiles
from doorward.api.audit.lists import IndexState, SessionAlerts, SessionContent, SessionEvents, TrailDownloads
from doorward.api.audit.segments import Segments
from doorward.api.audit.service import Audited, AuditService
from doorward.api.audit.shown import body_of
from doorward.api.audit.trail import AuditTrail, Replay
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, answer_schema, envelope

SESSION: Final = {"x-component": "Session", "type": "object", "description": "A session; what is not known is left out."}


class OneSession(Audited):
    """A session."""

    operations = {
        "GET": Operation(
            "The session.",
            answer_schema(body=SESSION, key={"type": "string"}),
            errors=(404,),
        )
    }

    def __init__(self, service: AuditService, key: str) -> None:
        super().__init__(service)
        self._key = key
        self.children = {
            "alerts": SessionAlerts(service, key),
            "audit_trail": AuditTrail(service, key),
            "channels": Channels(service, key),
            "content": SessionContent(service, key),
            "events": SessionEvents(service, key),
            "files": TrailFiles(service, key),
            "indexing": IndexState(service, key),
            "replay": Replay(service, key),
            "segments": Segments(service, key),
            "trail_downloads": TrailDownloads(service, key),
        }

    async def get(self, request: Request) -> Response:
        """Answer the session."""
        found = await self.service.look(request, self.service.find, request, self._key)
        return envelope(request, self._key, body_of(found))
