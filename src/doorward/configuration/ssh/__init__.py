"""Proxying of SSH sessions."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/ssh")
