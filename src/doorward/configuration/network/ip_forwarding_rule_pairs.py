"""Forwarding of packets between interfaces."""

from doorward.tree.nodes import ListSingleton, later

NODE = later(ListSingleton, default=[], scope="node")
