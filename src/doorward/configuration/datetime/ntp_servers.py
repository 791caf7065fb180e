"""NTP servers that the node's clock follows: ``/api/configuration/datetime/ntp_servers``.

Committing the list writes chrony's sources file, reloads chronyd and waits until chronyd itself lists every entry and none that
was removed. Synchronisation is not awaited; ``/api/time_status`` tells how the sources do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

from doorward.configuration.network._addresses import addresses
from doorward.host.files import FileEntry
from doorward.host.resources import Daemon, File
from doorward.tree.fields import Address, FqdnAddress, IpAddress
from doorward.tree.models import Elements
from doorward.tree.nodes import ListSingleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/datetime/ntp_servers"
SOURCES = "/etc/chrony/sources.d/doorward.sources"


def sources(servers: Iterable[FqdnAddress | IpAddress]) -> str:
    """Return the content of chrony's sources file: a line an entry, in order."""
    return sources_of((server.selection, server.value) for server in servers)


def sources_of(servers: Iterable[tuple[str, str]]) -> str:
    """Return the lines of servers, given by selection and value."""
    lines = {"ip": "server {} iburst\n", "fqdn": "pool {} iburst maxsources 4\n"}
    return "".join(lines[selection].format(value) for selection, value in servers)


def render(snapshot: Snapshot) -> Iterator[File | Daemon]:
    """Ask the host for the sources file and for a chronyd that uses it."""
    servers = snapshot.read(NODE)
    yield File(SOURCES, sources(servers).encode(), origin=PATH, label="sources")
    yield Daemon("chronyd", reload_on=(SOURCES,), lists=tuple(server.value for server in servers), origin=PATH)


def adopt(snapshot: Snapshot, found: Callable[[Any], object]) -> list[dict[str, str]] | None:
    """Return the servers in the sources file of the host; None where it says more than entries here can."""
    file, _ = render(snapshot)
    entry = found(file)
    if not isinstance(entry, FileEntry) or entry.target is not None:
        return None
    servers: list[dict[str, str]] = []
    for line in entry.content.decode("utf-8", "replace").splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        kind = {"server": "ip", "pool": "fqdn"}.get(words[0])
        if kind is None or not words[1:] or sources_of([(kind, words[1])]).split() != words:
            return None
        servers.append({"selection": kind, "value": words[1]})
    return servers


def no_time_source(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of an empty list."""
    if not snapshot.read(NODE):
        yield Problem("no_time_source", "Without servers the clock follows nothing.")


def own_address(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of entries that are addresses of this node."""
    own = {str(address.ip) for _, address in addresses(snapshot)}
    for index, server in enumerate(snapshot.read(NODE)):
        if server.value in own:
            yield Problem("own_address", f"NTP server {server.value} is this node.", f"/{index}/value")


def added(old: list[FqdnAddress | IpAddress] | None, new: list[FqdnAddress | IpAddress]) -> Iterator[tuple[str, str]]:
    """Yield the entries that were added, to be asked for the time: (pointer in the body, host)."""
    for index, server in enumerate(new):
        if server not in (old or ()):
            yield f"/{index}/value", server.value


def _identity(entry: FqdnAddress | IpAddress) -> str:
    return entry.value


NODE: ListSingleton[Address] = ListSingleton(
    title="NTP servers",
    model=Annotated[list[Address], Elements(most=16, unique=_identity)],
    default=[{"selection": "fqdn", "value": "pool.ntp.org"}],
    accepts_one=True,
    advice=(no_time_source, own_address),
    probe=added,
    render=render,
    adopt=adopt,
)
