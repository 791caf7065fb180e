"""What happens where the host is not as configured: ``/api/configuration/management/drift``.

Files, links, addresses, routes, daemons and listeners are compared with the running revision: within a second where the kernel
tells of a change, else every 30 seconds. ``alert`` raises ``configuration_drift``. ``repair`` also puts it back, with a commit
record of its own, and stops after 3 repairs in 10 minutes (``drift_loop``). Committing it changes nothing on the host.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from doorward.tree.models import Body, Elements
from doorward.tree.nodes import Singleton
from doorward.tree.places import ROOT

PATH = "/api/configuration/management/drift"

Exempted = Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x1f]*$", max_length=255)]
"""A path: of the configuration, or of a file on the host."""


def _itself(path: str) -> str:
    return path.rstrip("/")


class Drift(Body):
    """What happens where the host is not as configured."""

    exceptions: Annotated[list[Exempted], Elements(most=100, unique=_itself)] = Field(
        [],
        description="What may differ: paths below /api/configuration, or of files on the host; with all that is below them.",
    )
    mode: Literal["alert", "repair"] = Field("alert", description="Whether it is only told, or put back as well.")

    def excepts(self, origin: str, path: str | None) -> bool:
        """Whether something of the host may differ: by the endpoint that it comes from, or by its path on the host."""
        return any(
            f"{where}/".startswith(f"{_itself(one)}/")
            for one in self.exceptions
            for where in ((origin,) if one.startswith(f"{ROOT}/") else (path,))
            if where is not None
        )


NODE: Singleton[Drift] = Singleton(
    title="Drift",
    model=Drift,
    default={"exceptions": [], "mode": "alert"},
    scope="node",
    listed=False,
)
