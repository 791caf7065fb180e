"""How long a login session lasts: ``/api/configuration/management/webinterface``.

Both limits count for every login session, web and REST, from its next request on; neither depends on the time of day. Nothing on
the host changes. ``session_hours`` is an extension: it is shown only where it is not 12, and left out it is 12.
"""

from __future__ import annotations

from pydantic import Field

from doorward.tree.models import Body, extension
from doorward.tree.nodes import Singleton
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/management/webinterface"
_HOURS = 12


class WebInterface(Body):
    """Settings of login sessions."""

    timeout: int = Field(10, ge=1, le=1440, description="Minutes of inactivity after which a login session ends.")
    session_hours: int = extension(
        _HOURS, ge=1, le=168, description="Hours after its login at which a login session ends, however busy it is."
    )


def limits(snapshot: Snapshot) -> tuple[int, int]:
    """Return the seconds of inactivity that end a login session, and the seconds after which it ends however busy it is."""
    settings = snapshot.read(NODE)
    return settings.timeout * 60, settings.session_hours * 3600


NODE: Singleton[WebInterface] = Singleton(title="Web interface", model=WebInterface, default={"timeout": 10})
