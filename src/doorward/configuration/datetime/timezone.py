"""The time zone of the node: ``/api/configuration/datetime/timezone``.

Committing it makes the link ``/etc/localtime`` and the file ``/etc/timezone``; proven by reading both back and by computing the
offset of now through the link. Stored times stay UTC; the zone rules ``HH:MM`` settings, mails and names of exports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from doorward.host.files import FileEntry
from doorward.host.kinds.path import ZONEINFO
from doorward.host.resources import File, Symlink, Zone
from doorward.host.zones import host_zone, is_zone
from doorward.tree.fields import bad_format
from doorward.tree.nodes import Singleton
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/datetime/timezone"


def zone_name(name: str) -> str:
    """Return a name of the node's tz database, exactly as it was spelt."""
    if not is_zone(name):
        raise bad_format("Must be a time zone of this node, such as Europe/Budapest.")
    return name


ZoneName = Annotated[str, StringConstraints(max_length=128), AfterValidator(zone_name)]
"""The name of a time zone."""


def render(snapshot: Snapshot) -> Iterator[File | Symlink | Zone]:
    """Ask the host for the link and the file, and for the right offset."""
    name = snapshot.read(NODE)
    yield Symlink("/etc/localtime", f"/usr/share/zoneinfo/{name}", origin=PATH)
    yield File("/etc/timezone", f"{name}\n".encode(), origin=PATH)
    yield Zone(name, origin=PATH)


def adopt(snapshot: Snapshot, found: Callable[[Any], object]) -> str | None:
    """Return the time zone that the host has: that of the link, or of the file where the link is as configured."""
    configured = snapshot.read(NODE)
    link, file, _ = render(snapshot)
    linked, named = found(link), found(file)
    target = linked.target if isinstance(linked, FileEntry) else None
    name = target.removeprefix(ZONEINFO) if target is not None and target.startswith(ZONEINFO) else None
    if name == configured and isinstance(named, FileEntry) and named.target is None:
        name = named.content.decode("utf-8", "replace").strip()
    return name if name is not None and name != configured and is_zone(name) else None


NODE: Singleton[ZoneName] = Singleton(
    title="Time zone",
    model=Annotated[ZoneName, Field(description="A name of the tz database, aliases included.", examples=["America/New_York"])],
    default=lambda _: host_zone(),
    render=render,
    adopt=adopt,
)
