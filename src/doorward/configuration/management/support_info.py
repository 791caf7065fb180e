"""Where users find support."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"support_link": None})
