"""What happens when a pattern turns up in a session."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
