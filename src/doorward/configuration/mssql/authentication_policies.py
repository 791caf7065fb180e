"""How users authenticate in MSSQL sessions."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
