"""Membership of the appliance in a Windows domain."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"enabled": False})
