"""How a client of ours checks the server that it talks TLS to, and shows itself. No endpoint; shared by such clients."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from doorward.configuration import x509
from doorward.tree.models import Body, Off, Switched
from doorward.tree.references import Reference, RefersTo

CertificateReference = Annotated[Reference[x509.Certificate], RefersTo(x509.NODE, form="sealed")]


class ServerCertificateCheck(Body):
    """The server must show a certificate for its name."""

    enabled: Literal[True] = Field(description="The certificate of the server and the name in it are checked.")
    server_certificate_ca: CertificateReference | None = Field(
        None,
        description="An authority, root or intermediate, that must have signed it; null: any that the system trusts.",
    )


ServerCheck = Annotated[ServerCertificateCheck | Off, Switched()]
CHECKED = ServerCertificateCheck(enabled=True, server_certificate_ca=None)


class ClientIdentity(Body):
    """The client shows a certificate of its own."""

    enabled: Literal[True] = Field(description="The server gets to see a certificate.")
    x509_identity: CertificateReference = Field(description="The certificate to show; needs its private key here.")


ClientAuthentication = Annotated[ClientIdentity | Off, Switched()]
ANONYMOUS = Off(enabled=False)


class Disabled(Body):
    """In clear text."""

    selection: Literal["disabled"] = Field(description="No encryption.")
