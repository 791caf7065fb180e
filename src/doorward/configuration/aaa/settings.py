"""Login settings: ``/api/configuration/aaa/settings``. The values shown are in force; they can't be changed in this release.

A group of failed logins from one client address blocks further logins from it for a while.
"""

from __future__ import annotations

from doorward.tree.nodes import Singleton, later

PATH = "/api/configuration/aaa/settings"

NODE = later(
    Singleton,
    title="Login settings",
    default={
        "bruteforce_protection": {"block_seconds": 300, "enabled": True, "failures": 10, "window_seconds": 60},
        "password_policy": {
            "dictionary_check": True,
            "enabled": True,
            "expiration_days": None,
            "minimum_classes": 1,
            "minimum_length": 12,
            "remembered_passwords": 0,
        },
    },
)
