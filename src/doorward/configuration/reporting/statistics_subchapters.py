"""Subchapters with statistics of sessions."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
