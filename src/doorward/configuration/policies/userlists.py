"""Lists of users."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
