"""Protocol settings of Telnet connections."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
