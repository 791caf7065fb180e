"""Bodies of the local services and of the certificates, with every member set."""

from __future__ import annotations

from typing import Any

ADDRESS = "nic1.interfaces.a1.addresses.b1"
UUID = "0a4f1c1e-2b7d-4f0e-8a51-7a3a5a0f3e22"

LINE: dict[str, Any] = {"address": ADDRESS, "http_port": 80, "https_port": 443}
RESTRICTED: dict[str, Any] = {"allowed_from": ["10.20.0.0/16", "2001:db8::1/64"], "enabled": True}
WEB: dict[str, Any] = {"access_restriction": RESTRICTED, "listen": [LINE]}

SERVING: dict[str, Any] = {
    "local_services/admin_web": WEB,
    "local_services/cluster": {"enabled": True, "listen_address": ADDRESS},
    "local_services/user_web": WEB,
    "management/certificates": {"ca": {"selection": "identity", "x509_identity": UUID}, "server": UUID, "tsa": UUID},
}
