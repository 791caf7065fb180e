"""Which HTTP connections are proxied, from where to where."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
