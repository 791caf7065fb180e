"""How users authenticate in SSH sessions."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
