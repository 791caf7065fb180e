"""Patterns that find user names in Telnet and TN3270 sessions."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
