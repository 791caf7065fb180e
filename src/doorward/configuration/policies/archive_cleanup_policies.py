"""When recordings move to an archive, and how long they stay: ``/api/configuration/policies/archive_cleanup_policies``.

A policy does nothing until a connection refers to it, which comes with a later release; it can be prepared before.
Times are in the time zone of the node. A target of the type ``none`` means that recordings are deleted without an archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from doorward.configuration.policies._targets import (
    NfsTarget,
    NoTarget,
    SmbTarget,
    TransferPolicy,
    is_unprotected,
    start_times,
)
from doorward.tree.models import Variants
from doorward.tree.nodes import Collection
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/policies/archive_cleanup_policies"

Template = Literal[
    "PROTOCOL/CONNECTION/ARCHIVEDATE/",
    "ARCHIVEDATE/PROTOCOL/CONNECTION/",
    "CONNECTIONDATE/PROTOCOL/CONNECTION/",
    "ARCHIVEDATE/",
    "CONNECTIONDATE/",
]


ArchiveTarget = Annotated[NfsTarget | SmbTarget | NoTarget, Variants("type")]
StartTimes: Any = start_times(1)


class ArchivePolicy(TransferPolicy):
    """An archive policy."""

    retention_days: Annotated[int, Field(ge=1, le=100_000)] = Field(description="Days after which recordings leave the node.")
    start_times: StartTimes = Field(description="When it runs.", examples=[["10:10"]])
    target: ArchiveTarget = Field(description="Where the archive is.")
    template: Template = Field("PROTOCOL/CONNECTION/ARCHIVEDATE/", description="Directories that recordings go into.")


def unprotected_transport(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of targets that protect nothing on the way."""
    policy = snapshot.find(NODE, place.key)
    if policy is not None and is_unprotected(policy.target):
        yield Problem("unprotected_transport", "Recordings can be read and changed on the way to the target.", "/target")


def old_archives(old: ArchivePolicy, new: ArchivePolicy, _snapshot: Snapshot) -> Iterator[Problem]:
    """Warn of a target of another type: what was archived before is not found there."""
    if old.target.type != new.target.type:
        message = "What was archived with the former type of target can't be reached any more."
        yield Problem("old_archives_unreachable", message, "/target/type")


NODE: Collection[ArchivePolicy] = Collection(
    title="Archive and cleanup policies",
    model=ArchivePolicy,
    unique="name",
    advice=(unprotected_transport,),
    step=old_archives,
)
