"""``/api/health_status``: how the machine and the appliance do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, meta
from doorward.areas.area import Issue
from doorward.host.plan import HostWarning
from doorward.proxy.control.figures import Figures
from doorward.transaction.pipeline import Pipeline

BASIC = "/special/basic"
PROXIES = ("http", "ica", "mssql", "rdp", "ssh", "telnet", "vnc")
_FRESH_SECONDS = 2.0


class Health:
    """What is wrong: with the host, looked at no more than every other second, and what ``watched`` knows of."""

    def __init__(self, pipeline: Pipeline, watched: Callable[[], Iterable[Issue]]) -> None:
        self._pipeline, self._watched = pipeline, watched
        self._looked = 0.0
        self._found: list[HostWarning] = []

    def warnings(self) -> list[HostWarning]:
        """Return where the host differs from the running revision. Blocks."""
        if time.monotonic() - self._looked > _FRESH_SECONDS:
            self._found = self._pipeline.host.drift(self._pipeline.desired(self._pipeline.running.snapshot))
            self._looked = time.monotonic()
        return self._found

    def issues(self) -> dict[str, list[dict[str, Any]]]:
        """Return errors and warnings in the form of ``health_status``."""
        failed = []
        if self._pipeline.unknown is not None:
            failed.append({"message": f"The state of the host is unknown: {self._pipeline.unknown}", "paths": []})
        warned = [{"message": w.message, "paths": [w.origin] if w.origin else []} for w in self.warnings()]
        for issue in self._watched():
            shown = {"message": issue.message, "paths": [issue.path] if issue.path else []}
            (failed if issue.level == "error" else warned).append(shown)
        return {"errors": failed, "warnings": warned}


class HealthStatus(Resource):
    """Figures of this machine."""

    operations = {
        "GET": Operation("Load, memory, disk and everything that is wrong.", answer_schema(health_status={"type": "object"}))
    }
    privilege = BASIC

    def __init__(self, health: Health, state: Path, sessions: Callable[[], Figures] = Figures) -> None:
        self._health, self._state, self._sessions = health, state, sessions
        psutil.cpu_percent()  # the first figure is since now

    async def get(self, request: Request) -> Response:
        """Answer the figures."""
        found = await asyncio.to_thread(self.figures)
        return Response({"health_status": found, "meta": meta(request)})

    def figures(self) -> dict[str, Any]:
        """Return the figures. Blocks."""
        load1, load5, load15 = psutil.getloadavg()
        cpu, disk = psutil.cpu_percent(), psutil.disk_usage(str(self._state))
        swap, sessions = psutil.swap_memory(), self._sessions().sessions
        return {
            "cpu": cpu,
            "disk": disk.percent,
            "firmware": None,
            "indexer": None,
            "issues": self._health.issues(),
            "load1": load1,
            "load15": load15,
            "load5": load5,
            "memory": psutil.virtual_memory().percent,
            "pipeline_queues": None,
            "raid": None,
            "sessions": {**dict.fromkeys(PROXIES, 0), "ssh": sessions},
            "sessions_total": sessions,
            "swap": swap.percent if swap.total else 0.0,
            "system_details": {
                "cpu": {"count": psutil.cpu_count(), "percent": cpu},
                "disk": {"free": disk.free, "total": disk.total, "used": disk.used},
            },
        }
