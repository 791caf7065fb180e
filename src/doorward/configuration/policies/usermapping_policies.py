"""Who may log in as whom."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
