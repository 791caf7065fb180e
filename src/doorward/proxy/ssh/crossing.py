"""The two legs of a session with the channels between them, as what judges openings and requests sees them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from doorward.proxy.ssh.legs.client_leg import ClientLeg
from doorward.proxy.ssh.legs.leg import Leg
from doorward.proxy.ssh.legs.server_leg import ServerLeg
from doorward.proxy.ssh.table import Table


class Crossing(Protocol):
    """See `relay.Relay`, which is one."""

    client: ClientLeg
    server: ServerLeg
    table: Table
    is_stopped: bool
    """Whether nothing goes through any longer."""

    def guard(self, leg: Leg) -> AbstractContextManager[None]:
        """Work on something of a leg outside of its turn of reading; a fault ends the leg."""

    def unpark(self, parked: list[bytes]) -> None:
        """Go on with messages that were kept."""
