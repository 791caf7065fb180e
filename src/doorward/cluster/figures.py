"""The health of this machine as it is reported to Central Management."""

from __future__ import annotations

from pathlib import Path

import psutil

from doorward.cluster.statuses import NodeFigures


def figures(state: Path) -> NodeFigures:
    """Return the figures of the moment; the disk is that of the state directory."""
    load1, load5, load15 = (round(load, 2) for load in psutil.getloadavg())
    swap = psutil.swap_memory()
    return NodeFigures(
        disk=psutil.disk_usage(str(state)).percent,
        load1=load1,
        load15=load15,
        load5=load5,
        memory=psutil.virtual_memory().percent,
        swap=swap.percent if swap.total else 0.0,
        sessions={},
        total_sessions=0,
    )
