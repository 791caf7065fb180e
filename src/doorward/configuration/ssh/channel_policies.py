"""Which SSH channels are open to whom."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
