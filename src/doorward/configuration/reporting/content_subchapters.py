"""Subchapters about the content of sessions."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
