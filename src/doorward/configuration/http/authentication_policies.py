"""How users authenticate in HTTP sessions."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
