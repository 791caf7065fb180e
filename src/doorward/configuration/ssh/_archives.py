"""What has to fit together around the archive policy of a connection, across the tree. No endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from doorward.configuration.policies._s3 import S3Target
from doorward.configuration.policies._targets import NoTarget
from doorward.configuration.policies.archive_cleanup_policies import ArchivePolicy
from doorward.configuration.policies.audit_policies import Encryption
from doorward.configuration.ssh import options
from doorward.configuration.ssh._connections import CONNECTIONS, PATH, SshConnection
from doorward.tree.destinations import Towards
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

_AT = "/policies/archive_cleanup_policy"


def archive_of(snapshot: Snapshot, one: SshConnection) -> ArchivePolicy | None:
    """Return the archive policy of a connection policy, if it has one."""
    reference = one.policies.archive_cleanup_policy
    return None if reference is None else snapshot.follow(reference)


def _archived(snapshot: Snapshot, place: Place) -> Iterator[tuple[str, SshConnection, ArchivePolicy]]:
    """Yield path, body and archive policy of the connection policy at a place, or of all of them."""
    alone = snapshot.find(CONNECTIONS, place.key) if place.key else None
    for key, one in [(place.key, alone)] if place.key else snapshot.each(CONNECTIONS):
        policy = archive_of(snapshot, one) if one is not None else None
        if one is not None and policy is not None:
            yield f"{PATH}/{key}", one, policy


def unfit_archives(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Refuse archives that nothing fills."""
    for path, _, policy in _archived(snapshot, place):
        if not isinstance(policy.target, S3Target | NoTarget):
            message = "Not supported: this release sends recordings to targets of the type s3 alone."
            yield Problem("not_supported", message, _AT, path)


def archived_too_late(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Refuse to delete sessions before their recordings leave the node."""
    every = snapshot.read(options.NODE).channel_database_cleanup
    for path, one, policy in _archived(snapshot, place):
        own = one.channel_database_cleanup
        for cleanup, at in ((own, "/channel_database_cleanup/days"), (every, _AT)):
            if isinstance(cleanup, options.SessionCleanup) and cleanup.days <= policy.retention_days:
                message = f"Sessions are deleted after {cleanup.days} days, recordings stay here for {policy.retention_days}."
                yield Problem("contradiction", message, at, path)


def archived_in_clear(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of recordings that leave the node as anybody can read them."""
    for path, one, policy in _archived(snapshot, place):
        if isinstance(policy.target, S3Target) and _is_in_clear(snapshot, one):
            message = "Recordings go to the archive in clear: whoever reads the bucket can replay them."
            yield Problem("archived_in_clear", message, _AT, path)


def recordings_leave(before: Snapshot, after: Snapshot) -> Iterator[Problem]:
    """Leave it to those who may do everything to send recordings in clear to a server that does not get those of a connection."""
    known = dict(_clear_copies(before))
    for path, towards in _clear_copies(after):
        then = known.get(path)
        if then is None or not towards.within(then):
            message = "It lets recordings leave in clear: that needs the account admin, or write on every object."
            yield Problem("privilege_required", message, _AT, path)


def _clear_copies(snapshot: Snapshot) -> Iterator[tuple[str, Towards]]:
    """Yield where the recordings of connections go that are not encrypted."""
    for path, one, policy in _archived(snapshot, Place(PATH)):
        if isinstance(policy.target, S3Target) and _is_in_clear(snapshot, one):
            yield path, policy.target.towards()


def _is_in_clear(snapshot: Snapshot, one: SshConnection) -> bool:
    policy = snapshot.follow(one.policies.audit_policy)
    return policy is not None and not isinstance(policy.encryption, Encryption)
