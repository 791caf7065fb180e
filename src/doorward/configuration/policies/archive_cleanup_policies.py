"""When recordings move to an archive and are cleaned up."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
