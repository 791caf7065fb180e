"""What a session in a worker is given from outside: control, which decides, and an observer, which records and shows.

The relay knows no more of them than this. Everything runs in the event loop of the worker; no call of the observer blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from doorward.proxy import messages
from doorward.sessions.rules import ChannelRule, Relayed


class ControlGoneError(Exception):
    """Control is away: what needs it is refused. Running sessions go on."""


class NotRecordedError(Exception):
    """A session can't be recorded, so that there is none; the message is for the client."""


class Control(Protocol):
    """What is asked of control for one session. Each call is one message and its answer; all raise ControlGoneError."""

    def identified(self, identifier: bytes, client_version: str, algorithms: Mapping[str, str]) -> None:
        """Tell the session identifier, before anything is asked."""

    async def try_none(self, user: str) -> messages.Decision:
        """Ask which methods there are."""

    async def try_password(self, user: str, password: str) -> messages.Decision:
        """Try a password."""

    async def try_key(self, user: str, algorithm: str, key: bytes, signature: bytes | None) -> messages.Decision:
        """Try a public key or certificate; without a signature: whether it would do."""

    async def try_prompts(self, user: str, answers: tuple[str, ...] | None) -> messages.Decision | messages.Prompts:
        """Begin keyboard-interactive, or answer."""

    async def find_target(self, user: str, method: str, text: str) -> messages.TargetAnswer:
        """Ask where to connect to."""

    async def judge_host_key(self, address: str, port: int, key: str) -> messages.Trusted:
        """Ask about a host key that is none of the trusted ones."""

    async def want_credential(self, way: Relayed) -> messages.CredentialAnswer:
        """Ask for what one way to log in at the target takes."""

    async def want_signature(self, public_key: str, algorithm: str, data: bytes) -> bytes:
        """Have data signed; empty: refused."""

    async def want_approval(self, channel: int, kind: str, detail: str) -> messages.Approval:
        """Ask a second person."""

    def connected(  # noqa: PLR0913, PLR0917 - the facts of a connection
        self, address: str, port: int, local: tuple[str, int], user: str, method: str, server_version: str, host_key: str
    ) -> None:
        """Tell that the session is logged in at its target."""

    def happened(self, event: str, facts: Mapping[str, Any]) -> None:
        """Tell of an event."""


class Flow(Protocol):
    """The brake of a session. Both counts: as often as it was held, it has to be let go."""

    def hold(self) -> None:
        """Read nothing more from either side, until `release`: the recording is behind."""

    def release(self) -> None:
        """Go on."""

    def end(self, reason: str, verdict: str) -> None:
        """End the session at once; both sides are told the reason."""


class Observer(Protocol):
    """Sees everything of one session, decrypted, in order. An exception out of it ends the session.

    ``channel``: counts the channels of the session from 1 (not SSH's numbers). ``down``: from the server to the client.
    """

    def begin(self, flow: Flow) -> None:
        """Take the brake; comes first."""

    async def ready(self) -> None:
        """Return once the beginning of the trail is durable; no byte goes to the target before. Raises NotRecordedError."""

    def facts(self, content: Mapping[str, Any]) -> None:
        """Take what became known of the session: users, addresses, methods, algorithms."""

    def opened(self, channel: int, kind: str, verdict: str, rule: ChannelRule | None, facts: Mapping[str, Any]) -> None:
        """Take a channel that was opened (``accept``) or refused (``deny``). ``kind``: the type in SSH, such as ``session``.

        A session channel is judged by its first request: it is told here once that came, with what it asked for in ``facts``
        (``request``: shell, exec, subsystem; ``command``; ``subsystem``; ``environment``; ``terminal``: type, columns, rows,
        modes). A forward has its ends there.
        """

    def requested(self, channel: int, down: bool, request: str, facts: Mapping[str, Any]) -> None:  # noqa: FBT001 - a direction
        """Take a request on an open channel: window-change, signal, break, exit-status, exit-signal and others."""

    def data(self, channel: int, down: bool, stream: int, data: memoryview) -> None:  # noqa: FBT001 - a direction
        """Take data; ``stream`` 0, or 1 for standard error. The view is only good during the call."""

    def eof(self, channel: int, down: bool) -> None:  # noqa: FBT001 - a direction
        """Take the end of one direction."""

    def closed(self, channel: int) -> None:
        """Take the end of a channel."""

    async def end(self, verdict: str, reason: str) -> None:
        """Take the end of the session; return when the trail is whole and safe."""
