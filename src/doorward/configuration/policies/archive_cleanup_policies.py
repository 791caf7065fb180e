"""Where recordings go, and how long they stay on the node: ``/api/configuration/policies/archive_cleanup_policies``.

A policy does nothing until a connection refers to it (``policies.archive_cleanup_policy``). Then each recording is sent to the
bucket once its session has ended, and read back; at the start times, in the time zone of the node, copies here that are older
than ``retention_days`` are deleted, if the bucket still shows what was sent. They are fetched when somebody looks at them.
Nothing is ever deleted or written over in the bucket. A target of the type ``none`` means that recordings are deleted without
an archive. With ``nfs`` or ``smb`` a policy can be kept, but no connection may refer to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from doorward.configuration.policies._s3 import S3Target
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


ArchiveTarget = Annotated[NfsTarget | SmbTarget | S3Target | NoTarget, Variants("type")]
StartTimes: Any = start_times(1)


class ArchivePolicy(TransferPolicy):
    """An archive policy."""

    retention_days: Annotated[int, Field(ge=1, le=100_000)] = Field(description="Days that recordings stay on the node.")
    start_times: StartTimes = Field(description="When old copies on the node are deleted.", examples=[["10:10"]])
    target: ArchiveTarget = Field(description="Where the archive is.")
    template: Template = Field("PROTOCOL/CONNECTION/ARCHIVEDATE/", description="Directories that recordings go into.")


def unprotected_transport(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of targets that protect nothing on the way."""
    policy = snapshot.find(NODE, place.key)
    if policy is not None and is_unprotected(policy.target):
        yield Problem("unprotected_transport", "Recordings can be read and changed on the way to the target.", "/target")


def old_archives(old: ArchivePolicy, new: ArchivePolicy, _snapshot: Snapshot) -> Iterator[Problem]:
    """Warn of another place: what was archived before is found there only if somebody moves it."""
    if old.target.type != new.target.type:
        message = "What was archived with the former type of target can't be reached any more."
        yield Problem("old_archives_unreachable", message, "/target/type")
    elif isinstance(old.target, S3Target) and isinstance(new.target, S3Target) and old.target.bucket != new.target.bucket:
        message = "What is in the former bucket is reached while a policy names that, or once it was copied to this one."
        yield Problem("old_archives_unreachable", message, "/target/bucket")


NODE: Collection[ArchivePolicy] = Collection(
    title="Archive and cleanup policies",
    model=ArchivePolicy,
    unique="name",
    advice=(unprotected_transport,),
    step=old_archives,
)
