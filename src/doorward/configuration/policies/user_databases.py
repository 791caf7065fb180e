"""Local lists of users and their keys."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
