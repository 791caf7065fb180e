"""Network interface 3; its addresses are not managed in this release."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"interfaces": {"@order": []}, "name": None, "speed": "auto"}, scope="node")
