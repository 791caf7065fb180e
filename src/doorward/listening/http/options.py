"""What HTTP services have in common, as limits, and what differs from one to the other, as options."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Protocol

from msgspec import Struct, field

HEAD_LIMIT = 16 << 10
"""Bytes of request line and header fields (protocol, section 12), and of what stands around and behind a chunked body."""
HEAD_SECONDS = 30.0
"""How long a client may take to send them, or the rest of a body that nobody waits for any more."""
STALLED_SECONDS = 60.0
"""How long a client may leave an answer unread."""
KEEP_ALIVE_SECONDS = 75
MAX_WAITING = 100
"""Requests that a client may send on without awaiting the answers; behind those it has to ask again."""
CLOSE_GRACE_SECONDS = 0.5
"""How long a client may then take to answer the end of TLS; one that keeps the connection for later never does."""
MAX_REPEATS, MAX_REPEATED_HEAD = 16, 2 << 10
"""Request heads that a connection keeps in order to know them again, and the bytes of the longest of them."""


class Crowded(Protocol):
    """A connection as those see it who decide which one has to go."""

    source: str
    """What its client's address counts as."""
    peer: bytes | None
    """The certificate that its client showed, in DER; the handshake took only those that are trusted."""
    began: float
    """When it was made, by the clock of the event loop."""
    used: float
    """When its last request was answered, by the same clock; before, when it was made."""

    @property
    def is_closing(self) -> bool:
        """Whether it ends."""

    @property
    def is_unanswered(self) -> bool:
        """Whether a request awaits its answer."""

    @property
    def is_asking(self) -> bool:
        """Whether a request has come in part, or none yet."""

    def abort(self) -> None:
        """End it at once."""


class FastApplication(Protocol):
    """An application that has answers at hand. In the event loop, for every request: both have to be quick."""

    def plain(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Any | None:
        """Return what a GET by HTTP/1.1 asks for if it may be answered at once; None: it goes to the application."""

    def fast_response(self, plain: Any) -> bytes | None:
        """Return the whole response, where one is at hand; None: the request goes to the application."""


class Errors(Struct, frozen=True):
    """What is said where no application can: in the shape that clients of the service know."""

    malformed: Callable[[], bytes]
    """Returns the whole response to what is not HTTP; the connection ends with it."""
    fault: Callable[[], bytes]
    """Returns the JSON of the response to a fault that the application did not answer."""


def _nothing() -> None:
    """Stand for what a service has no need of."""


class HttpOptions(Struct, frozen=True, kw_only=True):
    """What differs from service to service."""

    errors: Errors
    make_room: Callable[[Crowded, Collection[Crowded]], None]
    """Called with each new connection and all that its listener has for the service; ends those for which there is no room."""
    fast: FastApplication | None = None
    head_seconds: float = field(default_factory=lambda: HEAD_SECONDS)
    is_hurried: bool = False
    """Whether a connection that ends has but CLOSE_GRACE_SECONDS for it, whatever its client still sends; else as TLS has it."""
    ending: Callable[[], None] = _nothing
    """Called when a connection is to end after the request that runs, so that those who wait look at ``scope["ending"]``."""
