"""Configured reports."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
