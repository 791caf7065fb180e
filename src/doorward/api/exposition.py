"""The text format of Prometheus. Apart, for prometheus-client takes its time to import, and many nodes are never asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE_LATEST", "answers", "commits", "gauge", "text"]


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
