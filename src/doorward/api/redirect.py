"""What an HTTP port answers: go to HTTPS, and nothing else."""

from __future__ import annotations

import os
import re
import time
from typing import Any

from doorward.api.app import head
from doorward.api.request import Response

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
    answer = Response(b"", 308, {"Connection": "close", "Location": location})
    fields = head(answer, (), 0, os.urandom(16).hex(), int(time.time()))
    await send({"type": "http.response.start", "status": answer.status, "headers": fields})
    await send({"type": "http.response.body", "body": b""})
