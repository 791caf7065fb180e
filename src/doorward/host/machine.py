"""The machine that a fresh appliance finds itself on: what its first configuration is filled from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MachineKind = Literal["sandbox", "system"]


@dataclass(frozen=True, slots=True)
class Machine:
    """Which kind of host the node manages, and the address and port it was told to listen on (``--listen``)."""

    kind: MachineKind = "sandbox"
    host: str = "127.0.0.1"
    port: int = 8443
