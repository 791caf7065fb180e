"""The client of Doorward's API for Python programs; the command line is built on it.

>>> from pathlib import Path
>>> from doorward.client import Client, verified
>>> with Client("https://gate.example.com", verified(Path("ca.pem"))) as doorward:  # doctest: +SKIP
...     doorward.login("jane", password)
...     with doorward.transaction("A second time server") as staged:
...         staged["datetime/ntp_servers"] = [{"selection": "fqdn", "value": "time.example.com"}]

It imports nothing of the server but how TLS is spoken.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doorward.client.asynchronous import AsyncClient
    from doorward.client.blocking import Client
    from doorward.client.errors import (
        ApiRefusedError,
        ApplyFailedError,
        ClientError,
        ConflictError,
        LoginRefusedError,
        ReportedProblem,
        UnknownOutcomeError,
        UnreachableError,
        UnsendableError,
        UntrustedError,
    )
    from doorward.client.messages import ApiAnswer, Committed
    from doorward.client.transaction import AsyncOpenTransaction, OpenTransaction
    from doorward.client.trust import pinned, shown_pin, verified

__all__ = [
    "ApiAnswer",
    "ApiRefusedError",
    "ApplyFailedError",
    "AsyncClient",
    "AsyncOpenTransaction",
    "Client",
    "ClientError",
    "Committed",
    "ConflictError",
    "LoginRefusedError",
    "OpenTransaction",
    "ReportedProblem",
    "UnknownOutcomeError",
    "UnreachableError",
    "UnsendableError",
    "UntrustedError",
    "pinned",
    "shown_pin",
    "verified",
]

_MODULES = {
    "ApiAnswer": "messages",
    "AsyncClient": "asynchronous",
    "AsyncOpenTransaction": "transaction",
    "Client": "blocking",
    "ClientError": "errors",
    "Committed": "messages",
    "ConflictError": "errors",
    "LoginRefusedError": "errors",
    "ApplyFailedError": "errors",
    "OpenTransaction": "transaction",
    "ApiRefusedError": "errors",
    "ReportedProblem": "errors",
    "UnknownOutcomeError": "errors",
    "UnreachableError": "errors",
    "UnsendableError": "errors",
    "UntrustedError": "errors",
    "pinned": "trust",
    "shown_pin": "trust",
    "verified": "trust",
}


# Whoever wants the exceptions alone does not wait for an HTTP library.
def __getattr__(name: str) -> Any:
    try:
        module = import_module(f"{__name__}.{_MODULES[name]}")
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(module, name)
