"""Global options of the SSH proxy."""

from doorward.tree.nodes import Singleton, later

NODE = later(
    Singleton,
    default={
        "channel_database_cleanup": {"enabled": False},
        "gssapi": {"enabled": False},
        "service": {"enabled": False},
    },
)
