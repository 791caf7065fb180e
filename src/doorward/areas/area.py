"""An area: a part of the appliance that starts, stops, follows commits and says how it does, such as backups or the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct, field

from doorward.store.port import Edit, Revision
from doorward.transaction.candidate import Running


class Issue(Struct, frozen=True):
    """Something that is wrong now, for ``health_status``; ``path`` "" for none."""

    message: str
    path: str = ""
    level: Literal["error", "warning"] = "warning"


class Metric(Struct, frozen=True):
    """A figure of the moment for ``/api/metrics``: its name in Prometheus, what it says, the value, in units of the name.

    Figures that differ in the values of their ``labels`` alone have one name and say the same. The values come from sets that
    Doorward knows: whatever clients could name would grow without end.
    """

    name: str
    about: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


class Area:
    """What the appliance asks of each of its areas: one that has nothing to say to a method inherits it.

    The appliance starts its areas in the order of their list (``appliance/areas.py``) and stops them in the opposite order.
    """

    is_early: bool = False
    """Whether it starts before the host is brought to the running revision, and stops when no commit can come any more."""

    def start(self) -> None:
        """Begin. The configuration is the running revision, and so is the host unless ``is_early``. May block."""

    def stop(self) -> None:
        """End what ``start`` began, also where that failed half-way. May block for some seconds."""

    def published(self, before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
        """Go over to a new revision before its commit answers. In the commit thread, which waits. Only between start and stop."""
        del before, after, edits

    def follow(self, revision: Revision, edits: tuple[Edit, ...]) -> None:
        """Do what follows from a commit and can wait until it has answered. In the commit thread. Only between start and stop."""
        del revision, edits

    def issues(self) -> Iterable[Issue]:
        """Return what is wrong now, as far as that is known. In any thread; never waits for anything outside."""
        return ()

    def metrics(self) -> Iterable[Metric]:
        """Return the figures of the moment. In any thread; may read the store."""
        return ()

    def tidy(self) -> None:
        """Forget what is too old. Every hour, in a thread that has time."""
