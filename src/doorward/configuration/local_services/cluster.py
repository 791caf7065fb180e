"""The listener of the cluster interface."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"enabled": False}, scope="node")
