"""Why a time server does not authenticate itself by NTS: a handshake of our own with its NTS-KE port (RFC 8915).

chronyd tells how its keys are doing, but not why there are none: the reason stands in its log alone, as text. So the server is
asked once more, with the same authority and the same name.
"""

from __future__ import annotations

import socket
import ssl
from typing import Final, NamedTuple

from doorward.host.background_prober import BackgroundProber
from doorward.host.tls import client_context

PORT: Final = 4460
"""TCP port of NTS-KE."""
TIMEOUT_SECONDS: Final = 5.0
_PROTOCOL: Final = "ntske/1"

UNRESOLVED, UNREACHABLE = "unresolved", "key_exchange_unreachable"
EXPIRED, NOT_YET_VALID = "certificate_expired", "certificate_not_yet_valid"
WRONG_NAME, UNTRUSTED = "certificate_name", "certificate_untrusted"
NO_NTS = "no_key_exchange"

_BY_CODE: Final = {9: NOT_YET_VALID, 10: EXPIRED, 62: WRONG_NAME, 64: WRONG_NAME}
"""Reasons by what OpenSSL says of a certificate (X509_V_ERR_…); all others mean that nobody who is trusted signed it."""

MESSAGES: Final = {
    UNRESOLVED: "The name does not resolve.",
    UNREACHABLE: f"Nothing answers at its TCP port {PORT}, where keys are exchanged.",
    EXPIRED: "Its certificate has expired.",
    NOT_YET_VALID: "Its certificate is not valid yet, by the clock of this node.",
    WRONG_NAME: "Its certificate is for another name.",
    UNTRUSTED: "Its certificate was not signed by an authority that is trusted here.",
    NO_NTS: f"What answers at its TCP port {PORT} exchanges no keys for NTS.",
}
"""A sentence for each reason."""


class NtsServer(NamedTuple):
    """A server as it is configured; `authority` in PEM, None: whom the system trusts."""

    host: str
    authority: str | None = None
    port: int = PORT


class NtsResult(NamedTuple):
    """`reason` is a key of `MESSAGES`, None where keys can be exchanged."""

    reason: str | None


def probe_nts(server: NtsServer) -> NtsResult:
    """Shake hands once. Never raises for what the network does; sends nothing but the handshake."""
    try:
        context = client_context(server.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([_PROTOCOL])
        with (
            socket.create_connection((server.host, server.port), TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=server.host) as secured,
        ):
            return NtsResult(None if secured.selected_alpn_protocol() == _PROTOCOL else NO_NTS)
    except ssl.SSLCertVerificationError as error:
        return NtsResult(_BY_CODE.get(error.verify_code, UNTRUSTED))
    except ssl.SSLError:
        return NtsResult(NO_NTS)
    except (socket.gaierror, UnicodeError):
        return NtsResult(UNRESOLVED)
    except OSError:
        return NtsResult(UNREACHABLE)


class NtsProber(BackgroundProber[NtsServer, NtsResult]):
    """Asks in the background, and remembers for a minute."""

    def __init__(self) -> None:
        super().__init__(probe_nts)
