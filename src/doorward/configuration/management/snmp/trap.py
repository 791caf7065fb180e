"""Where SNMP traps go."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"enabled": False})
