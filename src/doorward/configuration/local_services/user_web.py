"""The web listener for users."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"access_restriction": {"enabled": False}, "listen": []}, scope="node")
