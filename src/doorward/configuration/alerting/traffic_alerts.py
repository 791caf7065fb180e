"""Alerts about proxied sessions."""

from doorward.tree.nodes import Singleton, later

_EVENTS = (
    "auth_failure",
    "auth_success",
    "channel_denied",
    "connection_denied",
    "connection_failed",
    "connection_timedout",
    "cred_store_closed",
    "cred_store_decrypt_error",
    "gw_auth_failure",
    "gw_auth_success",
    "host_key_learned",
    "protocol_violation",
    "ssh_host_key_mismatch",
    "user_mapping_failure",
)

NODE = later(Singleton, default={event: {"email": False, "snmp": False} for event in _EVENTS})
