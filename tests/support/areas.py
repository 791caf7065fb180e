"""An area by itself, without the appliance that tells it of commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from doorward.areas.area import Area
    from doorward.transaction.pipeline import Pipeline

    _Area = TypeVar("_Area", bound=Area)


def follow(area: _Area, pipeline: Pipeline) -> _Area:
    """Have an area follow commits from now on."""
    pipeline.subscribers.published.append(area.published)
    pipeline.subscribers.following.append(area.follow)
    return area
