"""Global options of the SSH proxy: ``/api/configuration/ssh/options``.

``service`` switches the proxy on: the commit opens a listener for every address and port of ``ssh/connections`` that this node
has, and proves it. Off, nothing listens, and running sessions end at the commit. With ``channel_database_cleanup`` the rows,
trails and index of older sessions are deleted daily at 22:01. ``limits`` is an extension: it is shown only where it differs
from 500 sessions a node and 10 of an address that are not logged in yet.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from doorward.configuration._inert import NOT_YET, NotYet, only
from doorward.tree.models import Body, Off, Switched, extension
from doorward.tree.nodes import Singleton
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/ssh/options"

_LOG_LEVEL = 4
_ONE_LEVEL = only(_LOG_LEVEL, "Sessions are logged in one way in this release; 4 stands for it.")


class SshService(Body):
    """The proxy is on."""

    enabled: Literal[True] = Field(description="SSH connections are proxied.")
    log_level: Annotated[int, Field(ge=0, le=10), _ONE_LEVEL] = Field(
        _LOG_LEVEL,
        description="4: this release logs sessions in one way.",
        json_schema_extra={"minimum": _LOG_LEVEL, "maximum": _LOG_LEVEL},
    )


class SessionCleanup(Body):
    """Old sessions are deleted."""

    enabled: Literal[True] = Field(description="Old sessions are deleted.")
    days: int = Field(ge=1, le=36_500, description="Days that a session is kept after its end.")


ServiceSwitch = Annotated[SshService | Off, Switched()]
CleanupSwitch = Annotated[SessionCleanup | Off, Switched()]


class SshLimits(Body):
    """How much a node takes."""

    sessions: int = Field(500, ge=1, le=100_000, description="Sessions on a node.")
    per_address: int = Field(10, ge=1, le=100_000, description="Connections of one address that are not logged in yet.")


class SshOptions(Body):
    """Options of the SSH proxy."""

    channel_database_cleanup: CleanupSwitch = Field(Off(enabled=False), description="Whether old sessions are deleted.")
    gssapi: NotYet = Field(NOT_YET, description="Kerberos.")
    service: ServiceSwitch = Field(Off(enabled=False), description="Whether SSH is proxied.")
    limits: SshLimits = extension(SshLimits(), description="How much a node takes.")


def is_enabled(snapshot: Snapshot) -> bool:
    """Whether SSH is proxied."""
    return isinstance(snapshot.read(NODE).service, SshService)


NODE: Singleton[SshOptions] = Singleton(
    title="SSH options",
    model=SshOptions,
    default={
        "channel_database_cleanup": {"enabled": False},
        "gssapi": {"enabled": False},
        "service": {"enabled": False},
    },
)
