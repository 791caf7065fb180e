"""Fields that report subchapters can use."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
