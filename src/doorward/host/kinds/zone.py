"""Kind `Zone`: the proof that the host's clock reads in the named time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from typing_extensions import override

from doorward.host.errors import HostError
from doorward.host.kinds import Kind, drifted
from doorward.host.plan import Action, Change, HostWarning
from doorward.host.resources import Zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet


OTHER_PROCESSES = "other_processes"
"""Code of the warning about programs that keep the old zone."""


class ZoneKind(Kind[Zone]):
    """Handles `Zone`: it has no action of its own, only a read-back, and says who does not notice."""

    rank = 10

    def __init__(self, through: Callable[[str], ZoneInfo], *, sandbox: bool = False) -> None:
        """`through` reads the time zone that a link such as "/etc/localtime" leads to; `HostError` when it can't."""
        self._through, self._sandbox = through, sandbox

    @override
    def plan(self, change: Change[Zone], touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """Never an action. Where the link moves, a warning that programs which run already keep their zone."""
        zone = change.resource
        if zone is None or zone.link not in touched:
            return None, []
        message = "Other running programs keep the old time zone until they are restarted."
        if self._sandbox:
            message = "In the sandbox the zone is that of Doorward alone; the machine and its programs keep theirs."
        return None, [HostWarning(OTHER_PROCESSES, message, zone.origin)]

    @override
    def observe(self, change: Change[Zone]) -> object:
        """Nothing to put back."""
        return None

    @override
    def apply(self, change: Change[Zone], deadline: float) -> None:
        """Nothing to do."""

    @override
    def verify(self, change: Change[Zone], deadline: float) -> None:
        """Offset and abbreviation of now, through the link and by name, are equal."""
        if change.resource is not None:
            self._compare(change.resource)

    @override
    def restore(self, change: Change[Zone], before: object, deadline: float) -> None:
        """Nothing to do: the link is put back by its own kind."""

    @override
    def confirm(self, change: Change[Zone], before: object, deadline: float) -> None:
        """Nothing to check beyond the link."""

    @override
    def drift(self, resource: Zone) -> list[HostWarning]:
        """One warning when the proof fails."""
        try:
            self._compare(resource)
        except HostError as failure:
            return [drifted(resource, failure.reason, resource.name)]
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
