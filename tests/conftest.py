"""The order of the test files: the longest begin first, so that no core waits for one of them. Hypothesis has no clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # a machine that is busy is no fault
settings.load_profile("patient")

LONG = (
    "faults/test_kill_first_start.py",
    "faults/test_kill_commit.py",
    "system/test_schemathesis.py",
    "clients/test_generated_clients.py",
    "system/test_backup_everywhere.py",
    "faults/test_kill_cluster.py",
    "faults/test_disk_full.py",
    "system/test_cluster.py",
    "faults/test_kill_everything.py",
    "faults/test_kill_return.py",
    "faults/test_kill_confirmation.py",
    "docs/test_guide_commands.py",
    "system/test_sessions_served.py",
    "system/test_demo.py",
    "docs/test_guide_sessions.py",
    "schedules/test_schedules.py",
    "faults/test_kill_recovery.py",
    "docs/test_guide_cluster.py",
    "docs/test_guide_backups.py",
    "faults/test_kill_backup.py",
    "system/test_backup_rsync.py",
    "system/test_backup_run.py",
    "system/test_command_line_terminal.py",
    "faults/test_kill_whole_restore.py",
    "unit/transaction/test_machine.py",
    "unit/backup/restore/test_restore.py",
    "contract/test_transactions_confirm.py",
)
"""Files that take more than ten seconds, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the long files first; the others stay as they are."""
    folder = Path(__file__).parent
    ranks = {folder / name: rank for rank, name in enumerate(LONG)}
    assert all(path.exists() for path in ranks), "a long file has moved"
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
