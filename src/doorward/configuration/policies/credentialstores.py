"""Where credentials of servers are kept."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
