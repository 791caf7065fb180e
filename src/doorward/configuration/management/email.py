"""The mail server and who gets which mail."""

from doorward.tree.nodes import Singleton, later

NODE = later(
    Singleton,
    default={
        "admin_address": None,
        "alerting_address": None,
        "reporting_address": None,
        "sender_address": None,
        "smtp_auth": {"enabled": False},
        "smtp_encryption": {"selection": "disabled"},
        "smtp_port": None,
        "smtp_server": None,
    },
)
