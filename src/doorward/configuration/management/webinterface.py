"""How long a login session lasts without a request: ``/api/configuration/management/webinterface``.

Counts for every login session, web and REST, from its next request on. Nothing on the host changes.
"""

from __future__ import annotations

from pydantic import Field

from doorward.tree.models import Body
from doorward.tree.nodes import Singleton

PATH = "/api/configuration/management/webinterface"


class WebInterface(Body):
    """Settings of login sessions."""

    timeout: int = Field(10, ge=1, le=1440, description="Minutes of inactivity after which a login session ends.")


NODE = Singleton(title="Web interface", model=WebInterface, default={"timeout": 10})
