"""How users authenticate in Telnet sessions."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
