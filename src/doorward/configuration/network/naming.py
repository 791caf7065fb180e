"""The name of the node, as the host has it; changed outside Doorward in this release."""

from doorward.host.identity import naming
from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default=naming, scope="node")
