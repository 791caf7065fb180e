"""The web listener for administrators and the REST API; set by the start option ``--listen`` in this release."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"access_restriction": {"enabled": False}, "listen": []}, scope="node")
