"""Accounting of changes: ``/api/configuration/management/accounting``.

The running value counts, so not yet for the commit that sets it. Reachable but not listed: the published samples name
``certificates`` as the first child of ``management``. Nothing on the host changes.
"""

from __future__ import annotations

from pydantic import Field

from doorward.tree.models import Body
from doorward.tree.nodes import Singleton

PATH = "/api/configuration/management/accounting"


class Accounting(Body):
    """What a commit must carry."""

    require_commitlog: bool = Field(default=False, description="Whether a commit with changes needs a commit message.")


NODE: Singleton[Accounting] = Singleton(title="Accounting", model=Accounting, default={"require_commitlog": False}, listed=False)
