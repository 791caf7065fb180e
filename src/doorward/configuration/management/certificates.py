"""The certificates of the appliance; the server's is self-signed in this release."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"ca": None, "server": None, "tsa": None}, scope="node")
