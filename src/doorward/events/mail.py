"""Sending one mail by SMTP, as the configuration says. Blocks. Never falls back to clear text."""

from __future__ import annotations

import base64
import math
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from doorward.configuration._tls import Disabled
from doorward.configuration.management import email
from doorward.events.node import full_name, sender, zone
from doorward.events.smtp import Conversation, OutcomeUnknownError
from doorward.events.tls import NoCertificateError, SecretText, context
from doorward.tree.jsontext import prepared
from doorward.tree.plaintext import plain
from doorward.tree.snapshot import Snapshot

if TYPE_CHECKING:
    from email.message import EmailMessage


@prepared
class Mail(Struct, frozen=True):
    """A mail that is to be sent. ``queued`` and ``due``, the time of the next try, are Unix times."""

    id: str
    recipient: str
    subject: str
    text: str
    queued: float
    due: float
    unknown: int = 0
    """How often it went out whole without a word of the server whether it took it."""


Code = Literal["resolve", "connect", "tls", "auth", "rejected"]

_AUTHENTICATED = 235
_GO_ON = 334


@dataclass
class MailError(Exception):
    """A mail was not taken. ``code`` says at which step, ``message`` why, in a sentence without secrets.

    ``is_unknown``: it went out whole, and may have been taken.
    """

    code: Code
    message: str
    is_unknown: bool = False


class NoServerError(Exception):
    """No mail server is set."""


def deliver(
    snapshot: Snapshot,
    mail: Mail,
    secret: SecretText,
    at_risk: Callable[[], None] = lambda: None,
    patience: float = math.inf,
) -> None:
    """Hand a mail to the mail server. Raises MailError, or NoServerError.

    ``at_risk`` is called before its content goes out; from then on a crash leaves unknown whether it was taken.
    ``patience``: most seconds that one step may take, where somebody waits.
    """
    settings = snapshot.read(email.NODE)
    if settings.smtp_server is None:
        raise NoServerError
    host = settings.smtp_server.value
    try:
        server = _opened(snapshot, settings, host, secret, patience)
        try:
            if isinstance(settings.smtp_auth, email.Login):
                _log_in(server, settings.smtp_auth.username, secret(settings.smtp_auth.password.key) or "")
            server.hand_over(sender(snapshot), mail.recipient, _message(snapshot, mail).as_bytes(), at_risk)
        finally:
            server.leave()
    except OutcomeUnknownError:
        message = f"The server {host} was sent the whole mail and did not say whether it took it."
        raise MailError("connect", message, is_unknown=True) from None
    except smtplib.SMTPRecipientsRefused as error:
        raise _refused(host, *next(iter(error.recipients.values()))) from None
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        raise _refused(host, error.smtp_code, error.smtp_error) from None
    except NoCertificateError as error:
        raise MailError("tls", f"TLS with {host} is not possible: {error}.") from None
    except ssl.SSLError as error:
        raise MailError("tls", f"TLS with {host} failed: {_tls_reason(error)}.") from None
    except socket.gaierror:
        raise MailError("resolve", f"The name {host} does not resolve.") from None
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        raise MailError("connect", f"The server {host} could not be talked to: {_io_reason(error)}.") from None


def _opened(snapshot: Snapshot, settings: email.Email, host: str, secret: SecretText, patience: float) -> Conversation:
    """Return a conversation with the mail server, protected as the configuration says."""
    encryption = settings.smtp_encryption
    server = Conversation(full_name(snapshot), patience)
    kind = encryption.selection
    protection = None if isinstance(encryption, Disabled) else context(snapshot, encryption, secret)
    usual = smtplib.SMTP_SSL_PORT if kind == "tls" else smtplib.SMTP_PORT
    try:
        server.open(host, settings.smtp_port or usual, protection if kind == "tls" else None)
        if kind == "starttls" and protection is not None:
            if not server.has_extn("starttls"):
                raise MailError("tls", f"The server {host} does not offer STARTTLS.")
            if not server.begin_tls(host, protection):
                raise MailError("tls", f"The server {host} refused STARTTLS.")
    except BaseException:
        server.close()
        raise
    return server


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
        raise MailError("auth", "The server offers no login with PLAIN or LOGIN.")
    if code != _AUTHENTICATED:  # what it said with the number might repeat what it was sent
        raise MailError("auth", f"The server refused the login with {code}.")


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


def _refused(host: str, code: int, said: bytes | str) -> MailError:
    return MailError("rejected", f"The server {host} refused the mail: {plain(f'{code} {plain(said)}', 300).rstrip('.')}.")


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message).rstrip(".")
    return (error.reason or "no agreement").lower().replace("_", " ")


def _io_reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):  # as smtplib hands it on
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it ended the conversation" if isinstance(error, smtplib.SMTPServerDisconnected) else "it does not speak SMTP"
