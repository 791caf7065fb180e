"""Protocol settings of SSH connections."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
