"""NTP servers that the node's clock follows: ``/api/configuration/datetime/ntp_servers``.

Committing the list writes chrony's sources file, reloads chronyd and waits until chronyd itself lists every entry and none that
was removed. Synchronisation is not awaited; ``/api/time_status`` tells how the sources do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from doorward.configuration.network._addresses import addresses
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
    lines = {"ip": "server {} iburst\n", "fqdn": "pool {} iburst maxsources 4\n"}
    return "".join(lines[server.selection].format(server.value) for server in servers)


def render(snapshot: Snapshot) -> Iterator[File | Daemon]:
    """Ask the host for the sources file and for a chronyd that uses it."""
    servers = snapshot.read(NODE)
    yield File(SOURCES, sources(servers).encode(), origin=PATH, label="sources")
    yield Daemon("chronyd", reload_on=(SOURCES,), lists=tuple(server.value for server in servers), origin=PATH)


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
)
