"""Directory servers for logins."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
