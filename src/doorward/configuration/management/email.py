"""The mail server and who gets which mail: ``/api/configuration/management/email``.

Alerts and failures go to ``alerting_address``, reports and successes to ``reporting_address``; to ``admin_address`` where those
are null. Mails wait in a queue that survives a restart: a mail is tried at once and after 1, 5, 15 and 60 minutes, then every
hour; after 24 hours it is dropped with an error in the log. A connection never falls back to clear text. A commit sends nothing;
``POST /api/tools/mailtest`` tries the running settings. Nothing on the host changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import InitErrorDetails

from doorward.configuration import passwords, x509
from doorward.configuration._tls import ANONYMOUS, CHECKED, ClientAuthentication, ClientIdentity, Disabled, ServerCheck
from doorward.tree.destinations import Destination
from doorward.tree.fields import Address, Mail, Port, text
from doorward.tree.models import Body, Interrelated, Off, Switched, Variants, wrong
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.references import Reference, RefersTo
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/management/email"


class Login(Body):
    """The mail server wants a login."""

    enabled: Literal[True] = Field(description="Log in to the mail server.")
    username: Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(text)] = Field(
        description="Name of the account there.", examples=["doorward"]
    )
    password: Annotated[Reference[passwords.StoredPassword], RefersTo(passwords.NODE, form="sealed")] = Field(
        description="Key of its password."
    )


class SmtpStartTls(Body):
    """Encrypted after the greeting."""

    selection: Literal["starttls"] = Field(description="STARTTLS; a server that does not offer it gets no mail.")
    client_authentication: ClientAuthentication = Field(ANONYMOUS, description="Whether the server gets to see a certificate.")
    server_certificate_check: ServerCheck = Field(CHECKED, description="What the server must show.")


class SmtpTls(Body):
    """Encrypted from the first byte on."""

    selection: Literal["tls"] = Field(description="TLS from the start.")
    client_authentication: ClientAuthentication = Field(ANONYMOUS, description="Whether the server gets to see a certificate.")
    server_certificate_check: ServerCheck = Field(CHECKED, description="What the server must show.")


SmtpLogin = Annotated[Login | Off, Switched()]
SmtpEncryption = Annotated[Disabled | SmtpStartTls | SmtpTls, Variants("selection")]


class Email(Interrelated):
    """How mail leaves the appliance, and to whom."""

    destination = Destination(
        "smtp_server", "smtp_port", "smtp_encryption.selection", "smtp_encryption.server_certificate_check"
    )  # fmt: skip

    smtp_server: Address | None = Field(None, description="The mail server; null: no mail is sent.")
    smtp_port: Port | None = Field(None, description="Port of the mail server; null: 465 for tls, else 25.")
    smtp_encryption: SmtpEncryption = Field(Disabled(selection="disabled"), description="How the connection is protected.")
    smtp_auth: SmtpLogin = Field(Off(enabled=False), description="Login to the mail server.")
    admin_address: Mail | None = Field(
        None, description="Who gets what no other address is set for.", examples=["admin@example.com"]
    )
    alerting_address: Mail | None = Field(None, description="Who gets alerts and failures; null: admin_address.")
    reporting_address: Mail | None = Field(None, description="Who gets reports and successes; null: admin_address.")
    sender_address: Mail | None = Field(None, description="Who mails come from; null: doorward at the name of the node.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Require a server when encryption or login is enabled."""
        if sent.get("smtp_server") is not None:
            return
        login, encryption = sent.get("smtp_auth"), sent.get("smtp_encryption")
        if isinstance(login, dict) and login.get("enabled") is True:
            yield wrong("contradiction", "Must be off without smtp_server.", "smtp_auth")
        if isinstance(encryption, dict) and any(encryption.get("selection") == way for way in ("starttls", "tls")):
            yield wrong("contradiction", "Must be disabled without smtp_server.", "smtp_encryption")


def identity_has_a_key(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Refuse to show a certificate whose private key is not here."""
    encryption = snapshot.read(NODE).smtp_encryption
    if not isinstance(encryption, Disabled) and isinstance(encryption.client_authentication, ClientIdentity):
        at = "/smtp_encryption/client_authentication/x509_identity"
        yield from x509.without_private_key(snapshot, encryption.client_authentication.x509_identity.key, at)


def password_in_clear(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of a password that crosses the network in clear text."""
    settings = snapshot.read(NODE)
    if settings.smtp_auth.enabled and isinstance(settings.smtp_encryption, Disabled):
        yield Problem("password_in_clear", "The password crosses the network in clear text.", "/smtp_encryption")


def recipient(snapshot: Snapshot, kind: Literal["alerting", "reporting"]) -> str | None:
    """Return who gets mails of a kind; None where nobody does, or no mail server is set."""
    settings = snapshot.read(NODE)
    found = (settings.alerting_address if kind == "alerting" else settings.reporting_address) or settings.admin_address
    return found if settings.smtp_server is not None else None


NODE: Singleton[Email] = Singleton(
    title="Mail",
    model=Email,
    default={
        "admin_address": None,
        "alerting_address": None,
        "reporting_address": None,
        "sender_address": None,
        "smtp_auth": {"enabled": False},
        "smtp_encryption": {"selection": "disabled"},
        "smtp_port": None,
        "smtp_server": None,
    },
    rules=(identity_has_a_key,),
    advice=(password_in_clear,),
)
