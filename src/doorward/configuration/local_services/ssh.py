"""The SSH service for administrators."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"enabled": False}, scope="node")
