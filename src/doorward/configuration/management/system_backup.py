"""The policy by which the configuration is backed up: ``/api/configuration/management/system_backup``.

Every node runs the policy by itself, at the start times of the policy, in its own time zone. Null: no scheduled backup. A commit
puts the start times into the due table of the node and reads it back; ``GET /api/backup/status`` shows when the next one is due.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from doorward.configuration.datetime import timezone
from doorward.configuration.management import exported_configuration_encryption as encryption
from doorward.configuration.policies import backup_policies
from doorward.configuration.policies.backup_policies import BackupPolicy
from doorward.host.resources import Job
from doorward.membership import nodes
from doorward.tree.destinations import Towards
from doorward.tree.models import Body
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.references import Reference, RefersTo
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/management/system_backup"


class SystemBackup(Body):
    """Which policy the configuration is backed up by."""

    backup_policy: Annotated[Reference[BackupPolicy], RefersTo(backup_policies.NODE, plain=True)] | None = Field(
        None, description="Key of the backup policy; null: no backup."
    )


def backup_in_clear(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of backups that anybody with the file can read."""
    if snapshot.read(NODE).backup_policy is not None and not encryption.is_encrypted(snapshot):
        message = "Backups hold passwords and keys in clear text; switch encryption on."
        yield Problem("backup_in_clear", message, "/backup_policy")


def no_start_time(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of a policy that runs by hand only."""
    policy = selected(snapshot)
    if policy is not None and not policy.start_times:
        yield Problem("no_start_time", "The policy has no start times: backups are only made by hand.", "/backup_policy")


def same_directory(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of nodes of a cluster that all write into one directory."""
    policy = selected(snapshot)
    if policy is not None and not policy.include_node_id_in_path and len(snapshot.objects(nodes.PATH)) > 1:
        message = "The nodes of the cluster share one directory on the target; include_node_id_in_path gives each its own."
        yield Problem("same_directory", message, "/backup_policy")


def secrets_leave(before: Snapshot, after: Snapshot) -> Iterator[Problem]:
    """Tell of backups in clear that go to a server that did not get any: whoever has it has every password and key."""
    then, now = _clear_copies(before), _clear_copies(after)
    if now is None or (then is not None and now.within(then)):
        return
    reference = after.read(NODE).backup_policy
    policy = Place(backup_policies.PATH, reference.key if reference is not None else "")
    if before.read(NODE).backup_policy != reference:
        at, path = "/backup_policy", PATH
    elif before.document(policy) != after.document(policy):
        at, path = "/target", policy.href
    else:
        at, path = "/encryption", encryption.PATH
    if then is not None:
        yield Problem("secrets_leave", "Backups with passwords and keys in clear text go to another server.", at, path)
    message = "It lets every password and key leave in clear text: that needs the account admin, or write on every object."
    yield Problem("privilege_required", message, at, path)


def _clear_copies(snapshot: Snapshot) -> Towards | None:
    """Return where backups go that are not encrypted; None where none do."""
    policy = None if encryption.is_encrypted(snapshot) else selected(snapshot)
    if policy is None:
        return None
    return policy.target.towards()


def selected(snapshot: Snapshot) -> BackupPolicy | None:
    """Return the policy by which backups are made; None without one."""
    reference = snapshot.read(NODE).backup_policy
    return snapshot.follow(reference) if reference is not None else None


def render(snapshot: Snapshot) -> Iterator[Job]:
    """Ask for a run at every start time of the policy."""
    reference, policy = snapshot.read(NODE).backup_policy, selected(snapshot)
    if reference is not None and policy is not None:
        times = tuple(sorted(policy.start_times))
        yield Job("system_backup", times, snapshot.read(timezone.NODE), subject=reference.key, origin=PATH)


NODE: Singleton[SystemBackup] = Singleton(
    title="Backup of the configuration",
    model=SystemBackup,
    default={"backup_policy": None},
    advice=(backup_in_clear, no_start_time, same_directory),
    reads=(backup_policies.PATH, nodes.PATH, timezone.PATH),
    leaves=secrets_leave,
    render=render,
)
