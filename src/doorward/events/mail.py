"""Sending one mail by SMTP, as the configuration says. Blocks. Never falls back to clear text."""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Literal

from doorward.configuration.management import email
from doorward.events.node import full_name, sender, zone
from doorward.events.tls import NoCertificate, SecretText, context
from doorward.tree.snapshot import Snapshot

if TYPE_CHECKING:
    from email.message import EmailMessage


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that is to be sent. ``queued`` and ``due``, the time of the next try, are Unix times."""

    id: str
    recipient: str
    subject: str
    text: str
    queued: float
    due: float


Code = Literal["resolve", "connect", "tls", "auth", "rejected"]

SOCKET_SECONDS = 10.0
"""How long one step of the conversation may take."""

_AUTHENTICATED = 235
_GO_ON = 334


@dataclass
class MailFailed(Exception):
    """A mail was not taken. ``code`` says at which step, ``message`` why, in a sentence without secrets."""

    code: Code
    message: str


class NoServer(Exception):
    """No mail server is set."""


def deliver(snapshot: Snapshot, mail: Mail, secret: SecretText) -> None:
    """Hand a mail to the mail server. Raises MailFailed, or NoServer."""
    settings = snapshot.value(email.PATH)
    if settings["smtp_server"] is None:
        raise NoServer
    host = settings["smtp_server"]["value"]
    try:
        server = _connected(snapshot, settings, host, secret)
        try:
            if settings["smtp_auth"]["enabled"]:
                _log_in(server, settings["smtp_auth"]["username"], secret(settings["smtp_auth"]["password"]) or "")
            server.send_message(_message(snapshot, mail), sender(snapshot), [mail.recipient])
        finally:
            _leave(server)
    except smtplib.SMTPRecipientsRefused as error:
        raise _refused(host, *next(iter(error.recipients.values()))) from None
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        raise _refused(host, error.smtp_code, error.smtp_error) from None
    except NoCertificate as error:
        raise MailFailed("tls", f"TLS with {host} is not possible: {error}.") from None
    except ssl.SSLError as error:
        raise MailFailed("tls", f"TLS with {host} failed: {_tls_reason(error)}.") from None
    except socket.gaierror:
        raise MailFailed("resolve", f"The name {host} does not resolve.") from None
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        raise MailFailed("connect", f"The server {host} could not be talked to: {_io_reason(error)}.") from None


def _connected(snapshot: Snapshot, settings: Mapping[str, Any], host: str, secret: SecretText) -> smtplib.SMTP:
    """Return a connection to the mail server, protected as the configuration says."""
    encryption = settings["smtp_encryption"]
    name = full_name(snapshot)
    if encryption["selection"] == "tls":
        port = settings["smtp_port"] or smtplib.SMTP_SSL_PORT
        protection = context(snapshot, encryption, secret)
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, name, timeout=SOCKET_SECONDS, context=protection)
        server.ehlo()
        return server
    server = smtplib.SMTP(host, settings["smtp_port"] or smtplib.SMTP_PORT, name, timeout=SOCKET_SECONDS)
    try:
        server.ehlo()
        if encryption["selection"] == "starttls":
            if not server.has_extn("starttls"):
                raise MailFailed("tls", f"The server {host} does not offer STARTTLS.")
            code, _ = server.starttls(context=context(snapshot, encryption, secret))
            if code != 220:  # noqa: PLR2004 - SMTP's number
                raise MailFailed("tls", f"The server {host} refused STARTTLS.")
            server.ehlo()
    except BaseException:
        server.close()
        raise
    return server


def _leave(server: smtplib.SMTP) -> None:
    """End the conversation. How that goes changes nothing about the mail."""
    with suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()


def _log_in(server: smtplib.SMTP, name: str, password: str) -> None:
    """Log in with PLAIN, or LOGIN where that is all there is; smtplib's own login knows ASCII only."""
    offered = server.esmtp_features.get("auth", "").upper().split()
    if "PLAIN" in offered:
        code, _ = server.docmd("AUTH", f"PLAIN {_encoded(f'{chr(0)}{name}{chr(0)}{password}')}")
    elif "LOGIN" in offered:
        code, _ = server.docmd("AUTH", "LOGIN")
        for part in (name, password):
            if code == _GO_ON:
                code, _ = server.docmd(_encoded(part))
    else:
        raise MailFailed("auth", "The server offers no login with PLAIN or LOGIN.")
    if code != _AUTHENTICATED:  # what it said with the number might repeat what it was sent
        raise MailFailed("auth", f"The server refused the login with {code}.")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _message(snapshot: Snapshot, mail: Mail) -> EmailMessage:
    from email.message import EmailMessage
    from email.policy import SMTP  # the grammar of mail headers takes its time to load, and most starts send no mail

    message = EmailMessage(policy=SMTP)
    message["From"] = f"Doorward <{sender(snapshot)}>"
    message["To"] = mail.recipient
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(mail.queued, zone(snapshot)))
    message["Message-ID"] = f"<{mail.id}@{full_name(snapshot)}>"  # the same at every try
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, cte="quoted-printable")
    return message


def _refused(host: str, code: int, said: bytes | str) -> MailFailed:
    words = said.decode(errors="replace") if isinstance(said, bytes) else said
    return MailFailed("rejected", f"The server {host} refused the mail: {' '.join(f'{code} {words}'.split())[:300].rstrip('.')}.")


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message).rstrip(".")
    return (error.reason or "no agreement").lower().replace("_", " ")


def _io_reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it ended the conversation" if isinstance(error, smtplib.SMTPServerDisconnected) else "it does not speak SMTP"
