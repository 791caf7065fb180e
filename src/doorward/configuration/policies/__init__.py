"""Policies that connections, backups and audit refer to."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/pol")
