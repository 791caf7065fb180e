"""Which sessions are indexed, and how."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
