"""Certificate authorities that sign on the fly."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
