"""Global options of the ICA proxy."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"channel_database_cleanup": {"enabled": False}, "service": {"enabled": False}})
