"""Limits of load and use above which an alert is raised."""

from doorward.tree.nodes import Singleton, later

NODE = later(
    Singleton,
    default={
        "maximum_disk_utilization_ratio": None,
        "maximum_load1": None,
        "maximum_load15": None,
        "maximum_load5": None,
        "maximum_swap_utilization_ratio": None,
    },
)
