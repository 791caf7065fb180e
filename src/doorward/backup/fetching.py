"""Brings an archive from the target of the selected policy, for a restore."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from doorward.backup.failure import BackupFailure
from doorward.backup.node import NodeView
from doorward.backup.targets.port import open_target
from doorward.configuration.management import system_backup
from doorward.configuration.policies import backup_policies
from doorward.tree.places import Place

_SECONDS = 1200.0


def fetch(node: NodeView, name: str, into: Path) -> None:
    """Copy a file of the target to a new local file. Blocks; raises BackupFailure."""
    snapshot = node.pipeline.running.snapshot
    key = snapshot.value(system_backup.PATH)["backup_policy"]
    policy = snapshot.document(Place(backup_policies.PATH, key)) if key is not None else None
    if policy is None:
        raise BackupFailure("policy_changed", "No backup policy is selected.")
    secret = node.pipeline.secrets.text
    with tempfile.TemporaryDirectory(prefix="doorward-fetch-") as workdir:
        target = open_target(
            policy.value["target"],
            secret,
            node=node.id,
            per_node=policy.value["include_node_id_in_path"],
            stop=threading.Event(),
            workdir=Path(workdir),
            attempt_seconds=_SECONDS,
        )
        with target:
            target.fetch(name, into)
