"""The SNMP agent."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"enabled": False}, scope="node")
