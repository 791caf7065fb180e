"""What an HTTP port answers: go to HTTPS, and nothing else."""

from __future__ import annotations

import os
import re
import time
from typing import Any

from doorward.listening.http.fields import standing_fields

_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_HTTPS = 443


async def redirect(scope: Any, _receive: Any, send: Any) -> None:
    """Answer 308 with the same path at the HTTPS port of the listener; at the name that the client uses, if it says one."""
    if scope["type"] != "http":
        return
    listener = scope["state"]["listener"]
    said = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    named = _HOST.fullmatch(said)
    host = named[1] if named else listener.name.rpartition(":")[0]
    port = "" if listener.https_port == _HTTPS else f":{listener.https_port}"
    query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
    location = f"https://{host}{port}{scope['raw_path'].decode('latin-1')}{query}"
    fields = [
        *standing_fields(os.urandom(16).hex(), int(time.time())),
        (b"content-length", b"0"),
        (b"content-type", b"application/json"),
        (b"connection", b"close"),
        (b"location", location.encode("latin-1")),
    ]
    await send({"type": "http.response.start", "status": 308, "headers": fields})
    await send({"type": "http.response.body", "body": b""})
