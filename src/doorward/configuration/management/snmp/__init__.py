"""SNMP."""

from doorward.tree.nodes import Branch

NODE = Branch()
