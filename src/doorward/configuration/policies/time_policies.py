"""Hours in which sessions are allowed."""

from doorward.tree.nodes import Collection, later

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

NODE = later(Collection, default={"-100": {"name": "7x24", **{day: [["0:00", "23:59"]] for day in _DAYS}}})
