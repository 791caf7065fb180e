"""Certificate authorities that are trusted."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
