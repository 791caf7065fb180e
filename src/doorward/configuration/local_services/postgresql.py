"""Access to the session database."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"enabled": False}, scope="node")
