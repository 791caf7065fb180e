"""Forwarding of session data to a SIEM."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"enabled": False})
