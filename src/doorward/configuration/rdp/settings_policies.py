"""Protocol settings of RDP connections."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
