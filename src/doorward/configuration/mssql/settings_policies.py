"""Protocol settings of MSSQL connections."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
