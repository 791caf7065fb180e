"""Forwarding of session data to Splunk."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"enabled": False})
