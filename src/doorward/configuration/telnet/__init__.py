"""Proxying of Telnet sessions."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/telnet")
