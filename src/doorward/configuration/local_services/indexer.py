"""Indexing of recorded sessions."""

from doorward.tree.nodes import Singleton, later

NODE = later(
    Singleton,
    default={
        "decryption_keys": [],
        "integrated": {"number_of_near_realtime_workers": 0, "number_of_workers": 0},
        "remote_access": {"enabled": False},
    },
    scope="node",
)
