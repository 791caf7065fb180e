"""Takes no more sessions when the disk fills up: ``/api/configuration/management/disk_fillup_prevention``.

While more of the disk with the recordings is used than the limit says, new sessions are refused; running ones go on, for there
is a reserve for them. A commit takes effect at once.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from doorward.configuration._inert import only
from doorward.tree.models import Body
from doorward.tree.nodes import Singleton

PATH = "/api/configuration/management/disk_fillup_prevention"


class DiskFillupPrevention(Body):
    """When new sessions are refused."""

    enabled: bool = Field(default=True, description="Whether new sessions are refused above the limit.")
    used_space_ratio_limit: int = Field(80, ge=1, le=99, description="Percent of the disk that may be in use.")
    archiving_enabled: Annotated[bool, only(False, "Archiving when the disk fills up comes with a later release.")] = Field(  # noqa: FBT003 - the only value
        default=False, description="False: archiving comes with a later release.", json_schema_extra={"const": False}
    )


NODE: Singleton[DiskFillupPrevention] = Singleton(
    title="Prevention of a full disk",
    model=DiskFillupPrevention,
    default={"archiving_enabled": False, "enabled": True, "used_space_ratio_limit": 80},
)
