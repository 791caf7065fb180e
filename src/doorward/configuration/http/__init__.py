"""Proxying of HTTP sessions."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/http")
