"""Plugins that fetch credentials."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
