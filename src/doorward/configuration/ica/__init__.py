"""Proxying of ICA sessions."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/ica")
