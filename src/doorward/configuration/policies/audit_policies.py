"""How recordings are encrypted, signed and time-stamped."""

from doorward.tree.nodes import Collection, later

NODE = later(
    Collection,
    default={
        "78101850949e47437dd91d": {
            "encryption": {"enabled": False},
            "name": "default",
            "signing": {"enabled": False},
            "signing_and_timestamping_interval": 30,
            "timestamping": {"enabled": False},
        }
    },
)
