"""The network of the node."""

from doorward.tree.nodes import Branch

NODE = Branch()
