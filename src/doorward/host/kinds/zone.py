"""Kind `Zone`: the proof that the host's clock reads in the named time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from doorward.host.errors import HostFailure
from doorward.host.kinds import drifted
from doorward.host.plan import Action, Change, HostWarning
from doorward.host.resources import Resource, Zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet


class ZoneKind:
    """Handles `Zone`: it has no action of its own, only a read-back."""

    rank = 10
    follows = False

    def __init__(self, through: Callable[[str], ZoneInfo]) -> None:
        """`through` reads the time zone that a link such as "/etc/localtime" leads to; `HostFailure` when it can't."""
        self._through = through

    def touches(self, resource: Resource) -> str | None:  # noqa: ARG002 - the port's signature
        """No path."""
        return None

    def depends(self, resource: Resource, touched: AbstractSet[str]) -> bool:
        """When its link moves, the proof is due again."""
        return isinstance(resource, Zone) and resource.link in touched

    def plan(self, change: Change, touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:  # noqa: ARG002
        """Never an action."""
        return None, []

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
        except HostFailure as failure:
            return [drifted(resource, failure.reason)]
        return []

    def _compare(self, zone: Zone) -> None:
        now = datetime.now(UTC)
        try:
            named = now.astimezone(ZoneInfo(zone.name))
        except (KeyError, ValueError, OSError) as error:
            raise HostFailure(f"the time zone database of this machine has no {zone.name}") from error
        linked = now.astimezone(self._through(zone.link))
        if (linked.utcoffset(), linked.tzname()) != (named.utcoffset(), named.tzname()):
            raise HostFailure(f"{zone.link} reads {linked.tzname()} where {zone.name} reads {named.tzname()}")
