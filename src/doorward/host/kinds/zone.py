"""Kind `Zone`: the proof that the host's clock reads in the named time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from doorward.host.errors import HostError
from doorward.host.kinds import drifted
from doorward.host.plan import Action, Change, HostWarning
from doorward.host.resources import Resource, Zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet


OTHER_PROCESSES = "other_processes"
"""Code of the warning about programs that keep the old zone."""


class ZoneKind:
    """Handles `Zone`: it has no action of its own, only a read-back, and says who does not notice."""

    rank = 10
    is_restored_last = False

    def __init__(self, through: Callable[[str], ZoneInfo], *, sandbox: bool = False) -> None:
        """`through` reads the time zone that a link such as "/etc/localtime" leads to; `HostError` when it can't."""
        self._through, self._sandbox = through, sandbox

    def touches(self, resource: Resource) -> str | None:  # noqa: ARG002 - the port's signature
        """No path."""
        return None

    def depends(self, resource: Resource, touched: AbstractSet[str]) -> bool:
        """When its link moves, the proof is due again."""
        return isinstance(resource, Zone) and resource.link in touched

    def plan(self, change: Change, touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """Never an action. Where the link moves, a warning that programs which run already keep their zone."""
        zone = change.resource
        if not isinstance(zone, Zone) or zone.link not in touched:
            return None, []
        message = "Other running programs keep the old time zone until they are restarted."
        if self._sandbox:
            message = "In the sandbox the zone is that of Doorward alone; the machine and its programs keep theirs."
        return None, [HostWarning(OTHER_PROCESSES, message, zone.origin)]

    def observe(self, change: Change) -> object:  # noqa: ARG002 - the port's signature
        """Nothing to put back."""
        return None

    def apply(self, change: Change, deadline: float) -> None:
        """Nothing to do."""

    def verify(self, change: Change, deadline: float) -> None:  # noqa: ARG002 - reading does not wait
        """Offset and abbreviation of now, through the link and by name, are equal."""
        if isinstance(change.resource, Zone):
            self._compare(change.resource)

    def restore(self, change: Change, before: object, deadline: float) -> None:
        """Nothing to do: the link is put back by its own kind."""

    def confirm(self, change: Change, before: object, deadline: float) -> None:
        """Nothing to check beyond the link."""

    def drift(self, resource: Resource) -> list[HostWarning]:
        """One warning when the proof fails."""
        try:
            if isinstance(resource, Zone):
                self._compare(resource)
        except HostError as failure:
            return [drifted(resource, failure.reason)]
        return []

    def _compare(self, zone: Zone) -> None:
        now = datetime.now(UTC)
        try:
            named = now.astimezone(ZoneInfo(zone.name))
        except (KeyError, ValueError, OSError) as error:
            raise HostError(f"the time zone database of this machine has no {zone.name}") from error
        linked = now.astimezone(self._through(zone.link))
        if (linked.utcoffset(), linked.tzname()) != (named.utcoffset(), named.tzname()):
            raise HostError(f"{zone.link} reads {linked.tzname()} where {zone.name} reads {named.tzname()}")
