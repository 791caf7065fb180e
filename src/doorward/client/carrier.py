"""Between exchanges and httpx: what blocking and asynchronous clients share."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

import httpx2

from doorward.client.errors import UnreachableError, UntrustedError
from doorward.client.exchanges import PATIENCE, ApiConversation
from doorward.client.messages import ClientReply, ClientRequest
from doorward.client.trust import checked_url, on_this_machine

SECONDS = 60.0
"""Longer than any answer of the server takes."""
PIECE = 1 << 18
"""Bytes of a file that are sent or written at a time."""
H = TypeVar("H", httpx2.Client, httpx2.AsyncClient)
_NUMBER = re.compile(r"^\[Errno -?\d+\] ")


class ApiClient(Generic[H]):
    """One login session over an HTTP client of httpx; see `doorward.client.Client`."""

    _kind: ClassVar[Callable[..., Any]]
    """Makes the HTTP client, of the type ``H``."""

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext,
        server_name: str | None = None,
        seconds: float = SECONDS,
        patience: float = PATIENCE,
    ) -> None:
        self.url = checked_url(url)
        self.patience = patience
        self.conversation = ApiConversation(self.url)
        self._extensions = with_name(server_name)
        # A proxy is for what is far away.
        self._http: H = self._kind(
            base_url=self.url, verify=context, timeout=seconds, trust_env=not on_this_machine(self.url), follow_redirects=False
        )

    @property
    def warnings(self) -> list[Mapping[str, str]]:
        """The warnings of all answers."""
        return self.conversation.warnings

    def bear(self, token: str) -> None:
        """Bring a token with each request, in place of a login."""
        self.conversation.token = token


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
