"""Where backups go, when, and how long they are kept."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
