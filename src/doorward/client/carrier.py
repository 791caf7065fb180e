"""Between exchanges and httpx: what blocking and asynchronous clients share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from doorward.client.errors import UnreachableError, UntrustedError
from doorward.client.exchanges import ClientReply, ClientRequest

SECONDS = 60.0
"""Longer than any answer of the server takes."""
PIECE = 1 << 18
"""Bytes of a file that are sent or written at a time."""
_NUMBER = re.compile(r"^\[Errno -?\d+\] ")


def as_arguments(request: ClientRequest, common: Mapping[str, str], extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request as httpx takes it. ``common`` are the headers of all requests."""
    kind = {} if request.content is None else {"Content-Type": "application/json"}
    headers = {**common, **kind, **request.headers}
    return {
        "method": request.method, "url": request.path, "headers": headers, "content": request.content, "extensions": extensions,
    }  # fmt: skip


def as_reply(answer: httpx2.Response) -> ClientReply:
    """Return an answer of httpx whose content has been read."""
    return ClientReply(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content)


def with_name(server_name: str | None) -> dict[str, Any]:
    """Return what makes httpx ask for a certificate of another name than the address."""
    return {"sni_hostname": server_name} if server_name else {}


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Raise UnreachableError or UntrustedError, for people, where the connection of a block fails."""
    try:
        yield
    except httpx2.TransportError as error:
        raise _unreachable(url, error) from None


def _unreachable(url: str, error: Exception) -> UnreachableError:
    text = _NUMBER.sub("", str(error)) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        why = text.partition("failed: ")[2].partition(" (_ssl")[0]
        return UntrustedError(f"{url} does not answer: its certificate is not trusted ({why}).")
    if "not the pinned one" in text:
        return UntrustedError(f"{url} is not trusted: {text.partition('] ')[2] or text}.")
    return UnreachableError(f"{url} does not answer: {text}.")
