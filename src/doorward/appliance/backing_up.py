"""The backups of a node, wired up: when it is late on purpose, and what other nodes are told of them."""

from __future__ import annotations

from uuid import UUID

from doorward.backup.checking import Checks
from doorward.backup.node import NodeView
from doorward.backup.schedule import DueJobs
from doorward.backup.service import Backups
from doorward.backup.temporary_files import TemporaryFiles
from doorward.cluster.statuses import Backup
from doorward.events.notifications import Notifications
from doorward.membership.cluster_role import cluster_role
from doorward.tree.snapshot import Snapshot

_MAX_LATE = 120


def late(snapshot: Snapshot, node: str) -> float:
    """By how many seconds a node is late: those of a cluster don't come to the target all at once."""
    return float(UUID(node).int % (_MAX_LATE + 1)) if cluster_role(snapshot).is_member else 0.0


def backups(view: NodeView, table: DueJobs, notifications: Notifications, uploads: TemporaryFiles) -> Backups:
    """Return the backups of a node; its monitor watches over them."""
    made = Backups(view, table, notifications, Checks(view), uploads.path)
    notifications.monitor.watches.append(made.watch)
    return made


def report(made: Backups) -> Backup | None:
    """Return what the other nodes are told; None where no policy is selected."""
    if made.selected() is None:
        return None
    fresh = made.freshness()
    return Backup(fresh.success.ended if fresh.success else None, fresh.overdue)
