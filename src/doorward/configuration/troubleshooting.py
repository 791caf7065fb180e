"""Core files and debug logging: ``/api/configuration/troubleshooting``.

A core file is what is left of the memory of a process that crashed; it may hold secrets. Every day at 03:00 those of the server
and of what it started are removed from where the kernel puts them (``/proc/sys/kernel/core_pattern``) once they are too old.
Debug logging counts from the commit on, without a restart: every request and every step on the host is logged, never a secret.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from doorward.configuration.datetime import timezone
from doorward.host.resources import Job
from doorward.tree.models import Body
from doorward.tree.nodes import Singleton
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/troubleshooting"


class CoreFiles(Body):
    """What becomes of core files."""

    retention_days: int = Field(14, ge=1, le=365, description="Days after which core files of our processes are removed.")


class DebugLogging(Body):
    """How much is logged."""

    enabled: bool = Field(default=False, description="Whether everything is logged that helps to find a fault.")


class Troubleshooting(Body):
    """What helps to find a fault."""

    core_files: CoreFiles = Field(CoreFiles(), description="What becomes of core files.")
    debug_logging: DebugLogging = Field(DebugLogging(), description="How much is logged.")


def render(snapshot: Snapshot) -> Iterator[Job]:
    """Ask for old core files to be cleared away every night; how old in days is the subject of the job."""
    days = snapshot.read(NODE).core_files.retention_days
    yield Job("core_files", ("03:00",), snapshot.read(timezone.NODE), subject=str(days), origin=PATH)


NODE: Singleton[Troubleshooting] = Singleton(
    title="Troubleshooting",
    scope="node",
    model=Troubleshooting,
    default=Troubleshooting().model_dump(mode="json"),
    reads=(timezone.PATH,),
    render=render,
)
