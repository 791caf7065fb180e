"""The areas of a node: started in order, stopped in the opposite order, told of commits, asked how they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog

from doorward.appliance.housekeeping import Housekeeping
from doorward.areas.area import Area, Issue, Metric
from doorward.transaction.pipeline import Pipeline

log = structlog.get_logger()


class Areas:
    """All areas of a node, and the housekeeping of all of them."""

    def __init__(self, pipeline: Pipeline, areas: Sequence[Area]) -> None:
        self._pipeline, self._areas = pipeline, (*areas, Housekeeping(self.tidy))
        self._started: list[Area] = []

    def start(self, *, early: bool) -> None:
        """Start the areas that are early, or those that are not. Blocks."""
        for area in self._areas:
            if area.is_early is early:
                self._pipeline.subscribers.published.append(area.published)
                self._pipeline.subscribers.following.append(area.follow)
                self._started.append(area)
                area.start()

    def stop(self, *, early: bool) -> None:
        """Stop the areas that were started; what one of them does wrong leaves the others alone. Blocks."""
        for area in [area for area in reversed(self._started) if area.is_early is early]:
            self._started.remove(area)
            self._pipeline.subscribers.published.remove(area.published)
            self._pipeline.subscribers.following.remove(area.follow)
            try:
                area.stop()
            except Exception:
                log.exception("an area could not be stopped", area=type(area).__name__)

    def issues(self) -> Iterator[Issue]:
        """Yield everything that is wrong, for ``health_status``."""
        for area in self._areas:
            yield from area.issues()

    def metrics(self) -> Iterator[Metric]:
        """Yield the figures of all areas."""
        for area in self._areas:
            yield from area.metrics()

    def tidy(self) -> None:
        """Have every area forget what is too old; what one of them does wrong leaves the others alone."""
        for area in self._areas:
            try:
                area.tidy()
            except Exception:
                log.exception("an area could not be tidied", area=type(area).__name__)
