"""Limits of load and use above which an alert is raised: ``/api/configuration/management/health_monitoring``.

Looked at every 60 seconds. An alert is raised when a limit is crossed, again every 24 hours while it lasts, and has ended when
the figure is below 95 % of the limit. What is wrong shows in ``/api/health_status`` as well. The disk is that of the state
directory. Nothing on the host changes.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PlainSerializer

from doorward.tree.models import Body
from doorward.tree.nodes import Singleton

PATH = "/api/configuration/management/health_monitoring"

_EXACT = 2.0**53


def _whole(value: float) -> Any:
    """Return an integer where the number is one: 4 and 4.0 are the same limit."""
    return int(value) if value < _EXACT and value.is_integer() else value


Percent = Annotated[int, Field(ge=1, le=100)]
Load = Annotated[float, Field(gt=0, allow_inf_nan=False), PlainSerializer(_whole)]


class HealthMonitoring(Body):
    """Limits; null: no alert."""

    maximum_disk_utilization_ratio: Percent | None = Field(80, description="Used part of the disk, in percent.")
    maximum_load1: Load | None = Field(None, description="Load average over 1 minute.")
    maximum_load5: Load | None = Field(None, description="Load average over 5 minutes.")
    maximum_load15: Load | None = Field(None, description="Load average over 15 minutes.")
    maximum_swap_utilization_ratio: Percent | None = Field(70, description="Used part of the swap space, in percent.")


NODE: Singleton[HealthMonitoring] = Singleton(
    title="Health monitoring",
    model=HealthMonitoring,
    default={
        "maximum_disk_utilization_ratio": 80,
        "maximum_load1": None,
        "maximum_load15": None,
        "maximum_load5": None,
        "maximum_swap_utilization_ratio": 70,
    },
)
