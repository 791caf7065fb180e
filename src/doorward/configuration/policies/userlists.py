"""Lists of users that plugins ask."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
