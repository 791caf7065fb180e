"""Protocol settings of ICA connections."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
