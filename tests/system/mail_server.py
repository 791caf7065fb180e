"""A real mail server in the process of the test, that keeps what it is sent."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from aiosmtpd.smtp import SMTP, AuthResult

from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path


@dataclass(frozen=True)
class Received:
    """A mail, and how it came."""

    message: EmailMessage
    recipients: list[str]
    sender: str
    encrypted: bool
    client: str | None
    """Subject of the certificate that the client showed."""


@dataclass
class MailServer:
    """SMTP on 127.0.0.1. ``accounts`` maps names to passwords: with some, a login is required."""

    certificate: tuple[Path, Path] | None = None
    client_authority: str | None = None
    accounts: dict[str, str] = field(default_factory=dict)
    from_the_start: bool = False
    unknown: set[str] = field(default_factory=set)
    """Recipients that are refused."""
    port: int = 0
    mails: list[Received] = field(default_factory=list)
    connections: int = 0
    logins: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        context = self._context() if self.certificate else None
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        def factory() -> SMTP:
            self.connections += 1
            starttls: dict[str, Any] = (
                {"tls_context": context, "require_starttls": True} if context and not self.from_the_start else {}
            )
            login: dict[str, Any] = {
                "auth_required": True,
                "auth_require_tls": bool(starttls),
                "authenticator": self._authenticate,
            }
            return SMTP(self, hostname="mail", loop=self._loop, **starttls, **(login if self.accounts else {}))

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            serving = self._loop.create_server(factory, sock=listening, ssl=context if self.from_the_start else None)
            server = self._loop.run_until_complete(serving)
            started.set()
            self._loop.run_forever()
            server.close()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left, timeout=PATIENCE))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        started.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    def _context(self) -> ssl.SSLContext:
        assert self.certificate
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.client_authority)
        context.load_cert_chain(*self.certificate)
        if self.client_authority:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        name, password = data.login.decode(), data.password.decode()
        self.logins.append((name, password))
        return AuthResult(success=self.accounts.get(name) == password, handled=False)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - the library's name
        if address in self.unknown:
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - the library's name
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        transport = server.transport.get_extra_info("ssl_object")
        shown = transport.getpeercert() if transport else None
        client = dict(pair[0] for pair in shown["subject"])["commonName"] if shown else None
        self.mails.append(Received(message, list(envelope.rcpt_tos), envelope.mail_from, transport is not None, client))
        return "250 OK"

    def subjects(self) -> list[str]:
        """The subjects of the mails so far."""
        return [str(mail.message["Subject"]) for mail in self.mails]
