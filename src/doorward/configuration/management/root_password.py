"""The password of the machine's root account."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default=None, scope="node")
