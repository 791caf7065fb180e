"""Looking up the names of targets: in threads of its own, for ten seconds at most, by the name servers that the policy says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import Protocol

from doorward.proxy.control.backends import run
from doorward.sessions.admission import one_address

SECONDS = 10.0
MAX_ADDRESSES = 16
"""Of one name."""


class UnknownNameError(Exception):
    """A name has no address, or nobody says so in time. The message is for the client."""


class Resolver(Protocol):
    """Looks names up."""

    async def addresses(self, name: str, server: str | None, suffixes: Sequence[str]) -> tuple[str, ...]:
        """Return the addresses of a name. Raises UnknownNameError."""


class SystemResolver:
    """Asks the resolver of the machine, or one name server."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    async def addresses(self, name: str, server: str | None, suffixes: Sequence[str]) -> tuple[str, ...]:
        """Try a name without dots below each suffix, then as it is. An address is its own. Raises UnknownNameError."""
        with contextlib.suppress(ValueError):
            return (str(one_address(name)),)
        below = [f"{name}.{suffix}" for suffix in suffixes] if "." not in name else []
        try:
            async with asyncio.timeout(SECONDS):
                for wanted in (*below, name):
                    work = run(self._threads, _asked, wanted, server) if server else run(self._threads, _resolved, wanted)
                    if found := await work:
                        return found[:MAX_ADDRESSES]
        except TimeoutError:
            raise UnknownNameError("The name of the server could not be looked up in time.") from None
        raise UnknownNameError("The server is not known.")


def _resolved(name: str) -> tuple[str, ...]:
    """Ask the machine's resolver."""
    try:
        rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return _plain(str(address[0]) for *_, address in rows)


def _asked(name: str, server: str) -> tuple[str, ...]:
    """Ask one name server, for IPv6 and IPv4."""
    import dns.exception
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [server]
    resolver.lifetime = SECONDS
    try:
        found = resolver.resolve_name(name, search=False)
    except dns.exception.DNSException:
        return ()
    return _plain(found.addresses())


def _plain(texts: Iterable[str]) -> tuple[str, ...]:
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):  # an address with a zone is nobody's target
            found.append(str(one_address(text)))
    return tuple(dict.fromkeys(found))
