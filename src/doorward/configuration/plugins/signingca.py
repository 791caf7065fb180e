"""Plugins that sign certificates."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
