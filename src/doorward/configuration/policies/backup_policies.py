"""Where backups go, when, and how long they are kept: ``/api/configuration/policies/backup_policies``.

A policy does nothing until ``management/system_backup`` refers to it. Times are in the time zone of the node; without any a
backup is made by hand only. With retention off nothing is ever deleted on the target. Committing a policy contacts nobody.

The login on an SSH server is by a private key of ``private_keys``; its public half, which GET of the key shows, goes on the
server. The host keys are compared exactly; nothing is trusted by itself. The secret key of an S3 target is one of ``passwords``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import InitErrorDetails

from doorward.configuration.policies._s3 import S3Target
from doorward.configuration.policies._targets import (
    NfsTarget,
    RsyncTarget,
    SmbTarget,
    TransferPolicy,
    is_unprotected,
    start_times,
)
from doorward.tree.models import Body, Interrelated, Off, Switched, Variants, wrong
from doorward.tree.nodes import Collection
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/policies/backup_policies"
_ENCRYPTION = "/api/configuration/management/exported_configuration_encryption"


class Retention(Body):
    """Old backups are deleted."""

    enabled: Literal[True] = Field(description="Old backups are deleted on the target.")
    keep_days: Annotated[int, Field(ge=1, le=36_500)] = Field(description="Days that a backup is kept at least.")
    keep_last: Annotated[int, Field(ge=1, le=10_000)] = Field(description="Newest backups that are kept whatever their age.")


BackupTarget = Annotated[RsyncTarget | SmbTarget | NfsTarget | S3Target, Variants("type")]
StartTimes: Any = start_times(0)
RetentionSwitch = Annotated[Retention | Off, Switched()]


class BackupPolicy(TransferPolicy, Interrelated):
    """A backup policy."""

    retention: RetentionSwitch = Field(Off(enabled=False), description="What is deleted.")
    start_times: StartTimes = Field(
        default_factory=list, description="When it runs; empty: only by hand.", examples=[["01:30", "13:30"]]
    )
    target: BackupTarget = Field(description="Where backups go.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """What is locked can't be deleted."""
        kept, locked = (_number(sent, *path) for path in (("retention", "keep_days"), ("target", "object_lock", "days")))
        if kept is not None and locked is not None and locked > kept:
            yield wrong("contradiction", "Must not be more than keep_days.", "target", "object_lock", "days")


def _number(sent: Any, *path: str) -> int | None:
    """Return a number in what was sent, of a block that is switched on; None where there is none."""
    for name in path:
        if not isinstance(sent, dict) or sent.get("enabled", True) is not True:
            return None
        sent = sent.get(name)
    return sent if isinstance(sent, int) else None


def unprotected_transport(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of targets that protect nothing on the way; with NFS only of backups that are not encrypted themselves."""
    encrypted = snapshot.value(_ENCRYPTION)["encryption"]["enabled"]
    for key, policy in _policies(snapshot, place):
        if is_unprotected(policy.target) and not (encrypted and isinstance(policy.target, NfsTarget)):
            message = "Backups can be read and changed on the way to the target."
            yield Problem("unprotected_transport", message, "/target", f"{PATH}/{key}")


def same_directory(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of a policy that shares its directory with another one."""
    own = snapshot.find(NODE, place.key)
    if own is None or own.include_node_id_in_path:
        return
    at = "/target/prefix" if isinstance(own.target, S3Target) else "/target/path"
    for key, other in snapshot.each(NODE):
        shared = _directory(other.target) == _directory(own.target)
        if key != place.key and shared and not other.include_node_id_in_path:
            yield Problem("same_directory", f"{PATH}/{key} uses the same directory.", at)


def _policies(snapshot: Snapshot, place: Place) -> Iterator[tuple[str, BackupPolicy]]:
    """Yield the policy at a place, or all of them where the place is the whole collection."""
    for key, policy in snapshot.each(NODE):
        if place.key in {"", key}:
            yield key, policy


def _directory(target: RsyncTarget | SmbTarget | NfsTarget | S3Target) -> tuple[str, ...]:
    """Return what tells the directory of one target from that of another; names of SMB differ in more than case."""
    if isinstance(target, S3Target):
        return (target.endpoint, target.bucket, target.prefix)
    inside = (f"{target.share}/{target.path}".casefold(),) if isinstance(target, SmbTarget) else ("", target.path)
    return (target.server.value, *inside)


NODE: Collection[BackupPolicy] = Collection(
    title="Backup policies",
    model=BackupPolicy,
    unique="name",
    advice=(unprotected_transport, same_directory),
    reads=(_ENCRYPTION,),
)
