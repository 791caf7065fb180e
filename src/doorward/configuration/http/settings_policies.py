"""Protocol settings of HTTP connections."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
