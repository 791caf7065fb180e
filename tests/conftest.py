"""What is true of all tests: the longest files begin first, so that no core waits for one of them; Hypothesis has no clock; what
was imported is no garbage; no thread that a test left goes on working.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.leftovers import Leftovers
from tests.support.spreading import Spread
from tests.support.zygote import zygote

settings.register_profile("patient", deadline=None)  # a machine that is busy is no fault
settings.load_profile("patient")

LONG = (
    "system/test_schemathesis.py",
    "system/test_console.py",
    "clients/test_generated_clients.py",
    "faults/test_kill_first_start.py",
    "faults/test_kill_cluster.py",
    "system/test_backup_everywhere.py",
    "contract/test_privileges.py",
    "schedules/test_schedules.py",
    "proof/test_machine_faults.py",
    "system/test_least_privilege.py",
    "faults/test_disk_full.py",
    "proof/test_kill_sessions.py",
    "system/test_serving_crowds.py",
    "system/test_demo.py",
    "system/test_console_sessions.py",
    "proof/test_mixed_load.py",
    "system/test_sessions_served.py",
    "system/test_cluster.py",
    "system/test_cluster_copies.py",
    "system/test_backup_rsync.py",
    "system/test_backup_run.py",
    "unit/backup/test_archive.py",
    "unit/backup/restore/test_restore.py",
    "faults/test_kill_commit.py",
    "faults/test_kill_whole_restore.py",
    "unit/transaction/test_machine.py",
    "system/test_serving.py",
    "schedules/test_real.py",
    "system/test_command_line_consent.py",
    "docs/test_guide_commands.py",
    "docs/test_guide_sessions.py",
    "docs/test_guide_cluster.py",
    "docs/test_guide_backups.py",
    "system/test_command_line_terminal.py",
    "unit/cluster/test_cluster.py",
    "unit/proxy/control/test_effects.py",
    "unit/proxy/control/test_logins.py",
    "faults/test_kill_recovery.py",
    "faults/test_kill_return.py",
    "faults/test_kill_at_any_time.py",
    "faults/test_kill_backup.py",
    "contract/test_transactions_confirm.py",
)
"""Files that take more than ten seconds, the longest first."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what ``make test`` gives: the processes to spread the tests over. Without it they run here."""
    parser.addoption("--workers", type=int, default=0, help="fork so many processes that run the tests")


def pytest_configure(config: pytest.Config) -> None:
    """Spread the tests if asked to; what forks the servers starts meanwhile."""
    if config.option.workers and config.getoption("numprocesses", None):
        raise pytest.UsageError("--workers forks, -n starts processes: not both")
    if config.option.workers:
        config.pluginmanager.register(Spread(config.option.workers))
        zygote()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the long files first; the others stay as they are."""
    folder = Path(__file__).parent
    ranks = {folder / name: rank for rank, name in enumerate(LONG)}
    assert all(path.exists() for path in ranks), "a long file has moved"
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among modules and tests, which all stay: that took a quarter of the time of finding them."""
    gc.disable()
    found = yield
    gc.freeze()
    gc.enable()
    return found


_leftovers = Leftovers()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Fail when a thread works on that an earlier file left."""
    yield
    if nextitem is None or nextitem.path != item.path:
        busy = _leftovers.busy(str(item.path.relative_to(Path(__file__).parent)))
        assert not busy, "; ".join(busy)
