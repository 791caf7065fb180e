"""Proxying of VNC sessions."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/vnc")
