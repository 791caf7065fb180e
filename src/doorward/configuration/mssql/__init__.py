"""Proxying of MSSQL sessions."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/mssql")
