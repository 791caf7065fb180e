"""The network interfaces."""

from doorward.tree.nodes import Branch

NODE = Branch()
