"""Plugins of the appliance."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/pol")
