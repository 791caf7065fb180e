"""Configured plugins for authentication and authorisation."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
