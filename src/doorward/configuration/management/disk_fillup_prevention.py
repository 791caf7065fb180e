"""Stops accepting sessions when the disk fills up."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"archiving_enabled": False, "enabled": False, "used_space_ratio_limit": 80})
