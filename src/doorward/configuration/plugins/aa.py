"""Plugins that authenticate and authorise sessions."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
