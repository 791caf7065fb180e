"""Directory servers that policies ask."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
