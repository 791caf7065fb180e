"""``/api/time_status``: how the clock and its sources do."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from doorward.api import errors
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, envelope
from doorward.api.status import BASIC
from doorward.configuration.datetime.ntp_servers import NODE, authority
from doorward.host.background_prober import BackgroundProber
from doorward.host.engine import Host, HostRefusedError
from doorward.host.nts_probe import MESSAGES, NtsProber, NtsResult, NtsServer
from doorward.host.time_status import TimeStatus
from doorward.transaction.pipeline import Pipeline
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot


class TimeStatusResource(Resource):
    """How the clock and its sources do."""

    operations = {
        "GET": Operation(
            "Clock, daemon, sources and time zone.",
            answer_schema(body={"type": "object"}, key={"const": "time_status"}),
        )
    }
    privilege = BASIC

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline, self._prober = pipeline, NtsProber()
        self.children = {"sync": TimeSync(pipeline.host)}

    async def get(self, request: Request) -> Response:
        """Answer what the daemon says, at most a second old."""
        found = await asyncio.to_thread(self._pipeline.host.time_status)
        return envelope(request, "time_status", explained(found, self._pipeline.running.snapshot, self._prober).as_dict())


class TimeSync(Resource):
    """Stepping the clock."""

    operations = {"POST": Operation("Measure all sources now and step the clock.", answer_schema(), body={}, errors=(400, 403))}
    privilege = BASIC
    listed = False

    def __init__(self, host: Host) -> None:
        self._host = host

    async def post(self, request: Request) -> Response:
        """Measure, step and answer the status after it."""
        await request.read()
        try:
            stepped = await asyncio.to_thread(self._host.sync)
        except HostRefusedError as refused:
            raise errors.meaning([Problem(refused.code, refused.message, "", request.href)]) from None
        body = stepped.status.as_dict()
        about = {"href": "/api/time_status", "parent": "/api"}
        return Response({"body": body, "key": "time_status", "meta": about, "stepped_seconds": stepped.stepped_seconds})


def explained(status: TimeStatus, snapshot: Snapshot, prober: BackgroundProber[NtsServer, NtsResult]) -> TimeStatus:
    """Return the status with the reasons why sources do not authenticate themselves, as far as they are known by now."""
    authorities = {(server.selection, server.value): authority(snapshot, server) for server in snapshot.read(NODE) if server.nts}
    sources = []
    for source in status.sources:
        at = source.selection, source.value
        if source.nts is None or source.nts.is_authenticated or at not in authorities:
            sources.append(source)
            continue
        server = NtsServer(source.value, authorities[at])
        prober.start(server)
        known = prober.known(server)
        reason = known.reason if known else None
        sources.append(replace(source, nts=replace(source.nts, reason=reason, message=MESSAGES.get(reason or ""))))
    return replace(status, sources=tuple(sources))
