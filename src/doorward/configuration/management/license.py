"""The licence: there is none to buy, and no feature ever asks for one."""

from doorward.tree.nodes import Singleton

NODE: Singleton[dict[str, object]] = Singleton(
    title="Licence",
    scope="node",
    read_only=True,
    default={
        "analytics": False,
        "basic_proxies": True,
        "enterprise": True,
        "license_type": "open-source",
        "limit": None,
        "limit_type": "unlimited",
        "product_version": "8.0",
        "serial": None,
        "sudo_iolog": False,
        "valid_not_after": None,
        "valid_not_before": None,
    },
)
