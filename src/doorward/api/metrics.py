"""``/api/metrics``: figures for Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import psutil

from doorward import __version__
from doorward.access.logins import Logins
from doorward.api.fast_response import FastResponses
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource
from doorward.api.status import Health
from doorward.areas.area import Metric
from doorward.proxy.control.figures import Figures
from doorward.transaction.pipeline import Pipeline


class Metrics(Resource):
    """Figures for Prometheus."""

    operations = {"GET": Operation("Figures in the text format of Prometheus.", {"type": "string"}, media_type="text/plain")}
    listed = False

    def __init__(
        self,
        pipeline: Pipeline,
        logins: Logins,
        health: Health,
        areas: Callable[[], Iterable[Metric]],
        sessions: Callable[[], Figures] = Figures,
    ) -> None:
        self._pipeline, self._logins, self._health, self._areas = pipeline, logins, health, areas
        self._sessions = sessions
        self.hot: FastResponses | None = None
        self._answers: Counter[tuple[str, int]] = Counter()
        self._commits = 0
        self._since = time.time()
        pipeline.subscribers.published.append(self._published)

    def _published(self, *_: object) -> None:
        self._commits += 1

    def count(self, method: str, status: int) -> None:
        """Count an answer."""
        self._answers[method, status] += 1

    async def get(self, _request: Request) -> Response:
        """Answer the figures as text."""
        answered = self._answers + Counter({("GET", 200): self.hot.count if self.hot else 0})
        return await asyncio.to_thread(self._answer, answered, len(self._logins))

    def _answer(self, answered: Counter[tuple[str, int]], logins: int) -> Response:
        from doorward.api.exposition import CONTENT_TYPE_LATEST, answers, commits, gauge, gauges, of_sessions, text

        pipeline = self._pipeline
        families = [
            answers(answered),
            commits(self._commits, self._since),
            gauge("doorward_running_revision", "Number of the running revision.", pipeline.running.number),
            gauge("doorward_login_sessions", "Live login sessions.", logins),
            gauge("doorward_host_state_unknown", "1 while the state of the host is unknown.", pipeline.unknown is not None),
            gauge("doorward_host_warnings", "Places where the host differs.", len(self._health.warnings())),
            *gauges(self._own()),
            *gauges(self._areas()),
            *of_sessions(self._sessions()),
            gauge("process_resident_memory_bytes", "Resident memory.", psutil.Process().memory_info().rss),
        ]
        return Response(text(families), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _own(self) -> Iterator[Metric]:
        yield Metric("doorward_build_info", "1, with the release as a label.", 1, {"version": __version__})
        for level, found in self._health.issues().items():
            label = level.removesuffix("s")
            yield Metric("doorward_health_issues", "What is wrong, by health_status.", len(found), {"level": label})
