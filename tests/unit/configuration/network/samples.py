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
NETWORK: dict[str, Any] = {f"network/nics/nic{number}": NIC for number in (1, 2, 3)}
