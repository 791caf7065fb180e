"""Core files and debug logging."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"core_files": {"retention_days": 14}, "debug_logging": {"enabled": False}}, scope="node")
