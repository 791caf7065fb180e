"""The name servers of the node, as the host has them; changed outside Doorward in this release."""

from doorward.host.identity import name_servers
from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default=name_servers, scope="node")
