"""What is analysed in which sessions."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
