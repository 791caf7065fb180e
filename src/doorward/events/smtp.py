"""SMTP as RFC 5321 has it: every address of a server, time for its answers, answers of limited size, one copy of a mail."""

from __future__ import annotations

import math
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from typing import Any, BinaryIO

CONNECT_SECONDS = 30.0
"""For TCP and TLS with each address."""
REPLY_SECONDS, DATA_SECONDS, BLOCK_SECONDS, FINAL_SECONDS = 300.0, 120.0, 180.0, 600.0
"""For the greeting and the answer to a command, to DATA, for the mail itself, for the answer to its end (section 4.5.3.2)."""
REPLY_LIMIT = 64 << 10
"""Bytes of an answer, all its lines."""
_LEAVE_SECONDS = 5.0

_READY, _DONE, _RECIPIENT_TAKEN, _SEND_MAIL = 220, 250, frozenset({250, 251, 252}), 354


class OutcomeUnknownError(Exception):
    """The mail went out whole, and the server did not say whether it took it."""


class _Lines:
    """What a server says, line by line, up to a limit for one answer."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.left = file, REPLY_LIMIT

    def readline(self, most: int) -> bytes:
        line = self._file.readline(most)
        self.left -= len(line)
        if self.left < 0:
            raise smtplib.SMTPServerDisconnected("the server says far too much")
        return line

    def close(self) -> None:
        self._file.close()


class Conversation(smtplib.SMTP):
    """A conversation with a server; ``patience`` shortens all times. What goes wrong is OSError or smtplib.SMTPException."""

    file: Any
    sock: Any

    def __init__(self, own_name: str, patience: float = math.inf) -> None:
        super().__init__(local_hostname=own_name)
        self._patience = patience
        self.reply_seconds = REPLY_SECONDS

    def getreply(self) -> tuple[int, bytes]:
        """Read an answer within its time. Raises SMTPServerDisconnected."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the conversation is over")
        self.sock.settimeout(min(self.reply_seconds, self._patience))
        if self.file is None:
            self.file = _Lines(self.sock.makefile("rb"))
        self.file.left = REPLY_LIMIT
        return super().getreply()

    def open(self, host: str, port: int, protection: ssl.SSLContext | None) -> None:
        """Try the addresses of a host in order (section 5.1) until one greets and says what it can do; perhaps by TLS."""
        failure: Exception = OSError("no address")
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for address in dict.fromkeys(one[4][:2] for one in found):
            try:
                self._open_one(address, host, protection)
            except (OSError, smtplib.SMTPException) as error:
                self.close()
                if not isinstance(failure, ssl.SSLError | smtplib.SMTPException):  # that one got further
                    failure = error
            else:
                return
        raise failure

    def _open_one(self, address: tuple[Any, ...], host: str, protection: ssl.SSLContext | None) -> None:
        seconds = min(CONNECT_SECONDS, self._patience)
        self.sock = socket.create_connection(address, seconds)
        if protection is not None:
            self.sock = protection.wrap_socket(self.sock, server_hostname=host)
        code, said = self.getreply()
        if code != _READY:
            raise smtplib.SMTPConnectError(code, said)
        self.ehlo()

    def begin_tls(self, host: str, protection: ssl.SSLContext) -> bool:
        """Go on under TLS; False where the server refuses."""
        code, _ = self.docmd("STARTTLS")
        if code != _READY:
            return False
        self.sock.settimeout(min(CONNECT_SECONDS, self._patience))
        self.sock = protection.wrap_socket(self.sock, server_hostname=host)
        self.file = self.ehlo_resp = self.helo_resp = None  # what was said in clear counts for nothing (RFC 3207, 4.2)
        self.esmtp_features, self.does_esmtp = {}, False
        self.ehlo()
        return True

    def hand_over(self, sender: str, recipient: str, content: bytes, at_risk: Callable[[], None]) -> None:
        """Send a mail. ``at_risk`` is called before its content goes out: from then on a crash leaves it unknown.

        Raises OutcomeUnknownError, SMTPSenderRefused, SMTPRecipientsRefused or SMTPDataError, besides what breaks a conversation.
        """
        code, said = self.mail(sender, [f"size={len(content)}"] if self.has_extn("size") else [])
        if code != _DONE:
            raise smtplib.SMTPSenderRefused(code, said, sender)
        code, said = self.rcpt(recipient)
        if code not in _RECIPIENT_TAKEN:
            raise smtplib.SMTPRecipientsRefused({recipient: (code, said)})
        self.reply_seconds = DATA_SECONDS
        code, said = self.docmd("DATA")
        if code != _SEND_MAIL:
            raise smtplib.SMTPDataError(code, said)
        at_risk()
        try:
            self.sock.settimeout(min(BLOCK_SECONDS, self._patience))
            self.sock.sendall(re.sub(rb"(?m)^\.", b"..", content) + b".\r\n")
            self.reply_seconds = FINAL_SECONDS
            code, said = self.getreply()
        except (OSError, smtplib.SMTPServerDisconnected) as error:
            raise OutcomeUnknownError from error
        if code != _DONE:
            raise smtplib.SMTPDataError(code, said)

    def leave(self) -> None:
        """End the conversation; how that goes changes nothing any more."""
        self.reply_seconds = _LEAVE_SECONDS
        try:
            if self.sock is not None:
                self.quit()
        except (OSError, smtplib.SMTPException):
            pass
        finally:
            self.close()
