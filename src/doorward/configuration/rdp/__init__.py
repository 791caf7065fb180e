"""Proxying of RDP sessions."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/rdp")
