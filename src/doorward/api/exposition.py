"""The text format of Prometheus. Apart, for prometheus-client takes its time to import, and many nodes are never asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from doorward.areas import area
from doorward.proxy.control.figures import Figures, WorkerFigures

__all__ = ["CONTENT_TYPE_LATEST", "answers", "commits", "gauge", "gauges", "of_sessions", "text"]


def answers(counted: Mapping[tuple[str, int], int]) -> Metric:
    """The answers by method and status."""
    family = CounterMetricFamily("doorward_http_answers", "Answers by method and status.", labels=["method", "status"])
    for (method, status), number in sorted(counted.items()):
        family.add_metric([method, str(status)], number)
    return family


def commits(number: int, since: float) -> Metric:
    """The revisions that were published ``since`` the start, in seconds of the epoch."""
    return CounterMetricFamily("doorward_commits", "Published revisions.", number, created=since)


def gauge(name: str, about: str, value: float) -> Metric:
    """A figure of the moment."""
    return GaugeMetricFamily(name, about, value)


def gauges(figures: Iterable[area.Metric]) -> Iterator[Metric]:
    """Yield figures of the moment: those of one name together, as the format wants them."""
    families: dict[str, GaugeMetricFamily] = {}
    for figure in figures:
        if figure.name not in families:
            families[figure.name] = GaugeMetricFamily(figure.name, figure.about, labels=list(figure.labels))
        families[figure.name].add_metric(list(figure.labels.values()), figure.value)
    yield from families.values()


def of_sessions(figures: Figures) -> Iterator[Metric]:
    """Yield how proxied sessions and their workers are doing."""
    sessions = GaugeMetricFamily("doorward_sessions", "Sessions by protocol.", labels=["protocol"])
    sessions.add_metric(["ssh"], figures.sessions)
    yield sessions
    yield gauge("doorward_sessions_before_login", "Connections that nobody has come in by yet.", figures.before_login)
    yield gauge("doorward_session_channels", "Open channels of sessions.", figures.channels)
    moved = GaugeMetricFamily("doorward_session_bytes", "Bytes of running sessions.", labels=["direction"])
    moved.add_metric(["down"], figures.down)
    moved.add_metric(["up"], figures.up)
    yield moved
    for name, counted, about in (
        ("doorward_sessions_refused", figures.refused, "Connections that became no session, by reason."),
        ("doorward_session_events", figures.events, "Events of sessions, by name."),
    ):
        family = CounterMetricFamily(name, about, labels=["reason" if name.endswith("refused") else "event"])
        for label, number in sorted(counted.items()):
            family.add_metric([label], number)
        yield family
    yield from _of_workers(figures)


_WORKERS: Final[tuple[tuple[str, str, Callable[[WorkerFigures], float]], ...]] = (
    ("doorward_worker_sessions", "Sessions of a worker.", attrgetter("sessions")),
    ("doorward_worker_memory_bytes", "Memory of a worker.", attrgetter("memory")),
    ("doorward_worker_recorder_lag_seconds", "By how much the recording of a worker is behind.", lambda one: one.lag / 1000),
)


def _of_workers(figures: Figures) -> Iterator[Metric]:
    for name, about, value in _WORKERS:
        family = GaugeMetricFamily(name, about, labels=["worker"])
        for worker, one in sorted(figures.workers.items()):
            family.add_metric([worker], value(one))
        yield family


class _Once(Collector):
    """What is asked once."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def text(families: Iterable[Metric]) -> bytes:
    """Return the figures as text."""
    registry = CollectorRegistry()
    registry.register(_Once(families))
    return generate_latest(registry)
