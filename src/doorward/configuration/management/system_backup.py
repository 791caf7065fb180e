"""The policy by which the configuration is backed up."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"backup_policy": None})
