"""NTP servers that the node's clock follows: ``/api/configuration/datetime/ntp_servers``.

Committing the list writes chrony's sources file, reloads chronyd and waits until chronyd itself lists every entry and none that
was removed. Synchronisation is not awaited; ``/api/time_status`` tells how the sources do.

``nts`` and ``server_certificate_ca`` are extensions: with ``nts`` the answers of a server count only when they are authenticated
by Network Time Security (RFC 8915). Another authority for an entry restarts chronyd: what it agreed on under the old one ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError
from pydantic_core import InitErrorDetails
from typing_extensions import override

from doorward.configuration import x509
from doorward.configuration._tls import CertificateReference
from doorward.configuration.network._addresses import addresses
from doorward.host.drivers.chrony_conf import MAX_SERVERS, SOURCES, authority_path
from doorward.host.files import FileEntry
from doorward.host.resources import Daemon, File
from doorward.tree.destinations import Destination
from doorward.tree.fields import FqdnAddress, IpAddress
from doorward.tree.models import Elements, Interrelated, Variants, extension, wrong
from doorward.tree.nodes import ListSingleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/datetime/ntp_servers"
AUTHORITIES = tuple(authority_path(slot) for slot in range(1, MAX_SERVERS + 1))
"""Where chronyd looks for the authorities of the entries, by their place in the list."""
_FEW = 3
"""Fewer sources than these can't outvote one that is wrong (RFC 8633, section 3.2)."""


class _Authenticated(Interrelated):
    """How an entry shows that its answers are its own."""

    destination = Destination()  # of an authority only the certificate is used, and stays here

    nts: bool = extension(
        default=False, description="Whether only answers count that are authenticated by NTS, Network Time Security (RFC 8915)."
    )
    server_certificate_ca: CertificateReference | None = extension(
        None,
        description="With nts: an authority, root or intermediate, that must have signed the certificate of the server; null: "
        "any that the system trusts.",
    )

    @classmethod
    @override
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Refuse an authority where no certificate is shown."""
        if sent.get("server_certificate_ca") is not None and sent.get("nts") is not True:
            yield wrong("contradiction", "Without nts no certificate is looked at.", "server_certificate_ca")


class IpServer(_Authenticated, IpAddress):
    """A time server, given by its IP address."""


class NamedServer(_Authenticated, FqdnAddress):
    """A time server, or several of them, given by a name."""


TimeServer = Annotated[NamedServer | IpServer, Variants("selection")]


def sources(servers: Iterable[NamedServer | IpServer]) -> str:
    """Return the content of chrony's sources file: a line an entry, in order."""
    return "".join(_line(server, slot) for slot, server in enumerate(servers, 1))


def _line(server: NamedServer | IpServer, slot: int) -> str:
    """Return the line of an entry. Its authority, where it has one, is the set of certificates with the number of the entry."""
    nts = " nts" if server.nts else ""
    if server.server_certificate_ca is not None:
        nts += f" certset {slot}"
    options = f"{server.value} iburst{nts}"
    return f"server {options}\n" if server.selection == "ip" else f"pool {options} maxsources 4\n"


def authority(snapshot: Snapshot, server: NamedServer | IpServer) -> str | None:
    """Return the certificate in PEM that must have signed that of a server; None: whom the system trusts."""
    if server.server_certificate_ca is None:
        return None
    found = x509.certificate_of(snapshot, server.server_certificate_ca.key)
    return found.public_bytes(Encoding.PEM).decode() if found else ""


def render(snapshot: Snapshot) -> Iterator[File | Daemon]:
    """Ask the host for the sources file, the authorities that it names, and for a chronyd that uses them."""
    servers = snapshot.read(NODE)
    yield File(SOURCES, sources(servers).encode(), origin=PATH, label="sources")
    for slot, server in enumerate(servers, 1):
        if pem := authority(snapshot, server):
            yield File(authority_path(slot), pem.encode(), origin=PATH, label="authority of a time server")
    names = tuple(server.value for server in servers)
    yield Daemon("chronyd", reload_on=(SOURCES,), restart_on=AUTHORITIES, lists=names, origin=PATH)


def adopt(snapshot: Snapshot, found: Callable[[Any], object]) -> list[dict[str, str]] | None:
    """Return the servers in the sources file of the host; None where it says more than entries here can."""
    file, *_ = render(snapshot)
    entry = found(file)
    if not isinstance(entry, FileEntry) or entry.target is not None:
        return None
    lines = [words for line in entry.content.decode("utf-8", "replace").splitlines() if (words := line.partition("#")[0].split())]
    bodies = [_read_back(words, slot, snapshot) for slot, words in enumerate(lines, 1)]
    return None if None in bodies else [body for body in bodies if body is not None]


def _read_back(words: list[str], slot: int, snapshot: Snapshot) -> dict[str, Any] | None:
    """Return the entry that a line stands for, None where there is none. The authority of a slot is what it is now."""
    kind = {"server": "ip", "pool": "fqdn"}.get(words[0])
    if kind is None or not words[1:]:
        return None
    body: dict[str, Any] = {"selection": kind, "value": words[1]}
    if "nts" in words:
        body["nts"] = True
    if "certset" in words:
        now = snapshot.read(NODE)[slot - 1 : slot]
        if not now or now[0].server_certificate_ca is None:
            return None
        body["server_certificate_ca"] = now[0].server_certificate_ca.key
    try:
        again = (IpServer if kind == "ip" else NamedServer).model_validate(body)
    except ValidationError:
        return None
    return body if _line(again, slot).split() == words else None


def no_time_source(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of an empty list."""
    if not snapshot.read(NODE):
        yield Problem("no_time_source", "Without servers the clock follows nothing.")


def few_time_sources(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of fewer than three addresses; how many servers stand behind a name is not known here."""
    servers = snapshot.read(NODE)
    if 0 < len(servers) < _FEW and all(server.selection == "ip" for server in servers):
        yield Problem("few_time_sources", "With fewer than three time servers one that is wrong can't be told from the others.")


def own_address(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of entries that are addresses of this node."""
    own = {str(address.ip) for _, address in addresses(snapshot)}
    for index, server in enumerate(snapshot.read(NODE)):
        if server.value in own:
            yield Problem("own_address", f"NTP server {server.value} is this node.", f"/{index}/value")


def added(old: list[NamedServer | IpServer] | None, new: list[NamedServer | IpServer]) -> Iterator[tuple[str, str]]:
    """Yield the entries that were added, to be asked for the time: (pointer in the body, host)."""
    for index, server in enumerate(new):
        if server not in (old or ()):
            yield f"/{index}/value", server.value


def _identity(entry: NamedServer | IpServer) -> str:
    return entry.value


NODE: ListSingleton[TimeServer] = ListSingleton(
    title="NTP servers",
    model=Annotated[list[TimeServer], Elements(most=MAX_SERVERS, unique=_identity)],
    default=[{"selection": "fqdn", "value": "pool.ntp.org"}],
    accepts_one=True,
    advice=(no_time_source, few_time_sources, own_address),
    probe=added,
    render=render,
    adopt=adopt,
)
