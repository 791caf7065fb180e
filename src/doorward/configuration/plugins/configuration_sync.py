"""Plugins that adapt the central configuration to a node."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
