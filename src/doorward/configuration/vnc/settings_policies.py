"""Protocol settings of VNC connections."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
