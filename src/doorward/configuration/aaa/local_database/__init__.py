"""Accounts kept on the appliance itself."""

from doorward.tree.nodes import Branch

NODE = Branch()
