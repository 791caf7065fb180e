"""Bodies of the network, one of each kind."""

from __future__ import annotations

from typing import Any

NIC: dict[str, Any] = {
    "interfaces": {
        "@order": ["one", "two"],
        "one": {"addresses": {"@order": ["a", "b"], "a": "192.0.2.5/24", "b": "2001:db8::5/64"}, "name": "default", "vlantag": 0},
        "two": {"addresses": {"@order": []}, "name": "guests", "vlantag": 20},
    },
    "name": "eth0",
    "speed": "auto",
}
NETWORK: dict[str, Any] = {
    "network/dns": {"primary": "192.0.2.53", "secondary": "2001:db8::53"},
    "network/naming": {"domainname": "example.com", "hostname": "node1", "nickname": "the first one"},
    **{f"network/nics/nic{number}": NIC for number in (1, 2, 3)},
    "network/routing": [
        {"gateway": "192.0.2.1", "target_network": "0.0.0.0/0"},
        {"gateway": "2001:db8::1", "target_network": "2001:db8:1::/48"},
    ],
}
