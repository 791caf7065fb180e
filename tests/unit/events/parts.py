"""A bus that only keeps what is raised, and configurations to work by."""

from __future__ import annotations

from typing import Any

from doorward.events.events import Event, Events
from doorward.host.machine import Machine
from doorward.transaction.candidate import Running
from doorward.tree.places import Place
from doorward.tree.snapshot import Snapshot
from tests.unit.transaction.rig import ROOT, TREE

SERVER = {"selection": "ip", "value": "192.0.2.25"}


class Bus(Events):
    """Keeps (key, text, ended) of what is raised."""

    def __init__(self) -> None:
        super().__init__()
        self.raised: list[tuple[str, str, bool]] = []
        self.events: list[Event] = []

    def raise_(self, key: str, text: str, path: str = "", *, ended: bool = False, **details: Any) -> None:
        self.raised.append((key, text, ended))
        self.events.append(Event(key=key, text=text, path=path, details=details))

    @property
    def keys(self) -> list[str]:
        """The keys so far; a ``-`` stands before what is over."""
        return [f"-{key}" if ended else key for key, _, ended in self.raised]


def snapshot(**bodies: Any) -> Snapshot:
    """The defaults with other bodies; ``__`` stands for the slash of a path."""
    made = TREE.defaults(Machine())
    naming = {"nickname": None} | made.value(ROOT + "network/naming") | {"hostname": "doorward1", "domainname": "example.com"}
    for name, value in {"network__naming": naming, "datetime__timezone": "Europe/Budapest", **bodies}.items():
        place = Place(ROOT + name.replace("__", "/"))
        made = made.put(place, TREE.load(place, value))
    return made


def running(number: int = 7, **bodies: Any) -> Running:
    return Running(number, "", snapshot(**bodies))
