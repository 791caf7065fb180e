"""A store that fails at any step of a commit: the host goes back, nothing is lost, and what is written counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doorward.transaction.pipeline import ApplyFailed
from doorward.tree.problems import SemanticError
from tests.unit.transaction.failing import FailingStore
from tests.unit.transaction.rig import ACCOUNTING, SERVERS, Rig
from tests.unit.transaction.steps import A, B, commit_record, failed, servers, why_unknown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, make=FailingStore).started()
    yield made
    made.close()


def fails(rig: Rig, *names: str) -> None:
    assert isinstance(rig.store, FailingStore)
    rig.store.fails = frozenset(names)


def test_without_a_journal_the_host_is_not_touched(failing: Rig) -> None:
    fails(failing, "begin")
    applied = [call for call in failing.host.calls if call[0] == "apply"]
    error = failed(failing, servers(failing, A))
    assert (error.action, error.reason, error.restored) == ("write journal", "database or disk is full", True)
    assert [call for call in failing.host.calls if call[0] == "apply"] == applied
    assert commit_record(failing).state == "reverted"
    fails(failing)
    failing.commit(servers(failing, A))


def test_a_revision_that_cannot_be_stored_is_taken_back_from_the_host(failing: Rig) -> None:
    before = failing.sources()
    fails(failing, "publish")
    candidate = servers(failing, A)
    error = failed(failing, candidate)
    assert (error.action, error.reason, error.restored) == ("store the revision", "database or disk is full", True)
    assert failing.sources() == before
    assert failing.host.daemon.names == {"pool.ntp.org"}
    assert commit_record(failing).state == "reverted"
    assert failing.store.intent() is None
    fails(failing)
    failing.commit(candidate)
    assert failing.number == 2
    assert failing.store.check() == []


def test_a_revision_that_is_stored_after_all_counts(failing: Rig) -> None:
    """The disk took it and the answer got lost: what is written is what runs."""
    fails(failing, "publish_after")
    done = failing.commit(servers(failing, A), commit_id="t1")
    assert (done.state, failing.number, failing.value(SERVERS)) == ("done", 2, A)
    head = failing.store.head()
    assert head is not None
    assert failing.pipeline.running.hash == head.hash
    assert failing.sources() == b"server 198.51.100.1 iburst\n"


@pytest.mark.parametrize("silent", [("publish", "head"), ("publish", "head", "close_journal")])
def test_a_store_that_answers_nothing_any_more_leaves_the_old_state(failing: Rig, silent: tuple[str, ...]) -> None:
    before = failing.sources()
    candidate = servers(failing, A)
    fails(failing, *silent)
    with pytest.raises(ApplyFailed) as caught:
        failing.commit(candidate, commit_id="t1")
    assert caught.value.restored
    assert failing.sources() == before
    fails(failing)
    again = failing.restarted()
    assert (again.number, again.sources(), again.store.intent()) == (1, before, None)
    assert commit_record(again).state == "reverted"
    again.commit(servers(again, B))
    again.close()


def test_a_revision_that_may_be_on_the_disk_is_not_told_as_taken_back(failing: Rig) -> None:
    before = failing.sources()
    fails(failing, "undecided", "close_journal")
    with pytest.raises(ApplyFailed) as caught:
        failing.commit(servers(failing, A), commit_id="t1")
    assert (caught.value.reason, caught.value.restored) == ("disk I/O error", False)
    assert failing.sources() == before
    assert failing.pipeline.unknown == "store the revision: disk I/O error"
    assert failing.pipeline.now_doing["t1"].state == "unknown"
    fails(failing)
    failing.commit(servers(failing, B), commit_id="t2")  # whatever is written takes the place of what was undecided
    assert [commit_record(failing, name).state for name in ("t1", "t2")] == ["reverted", "done"]
    assert why_unknown(failing) is None


def test_a_record_that_can_be_written_decides_what_was_undecided(failing: Rig) -> None:
    fails(failing, "undecided")
    error = failed(failing, servers(failing, A))
    assert error.restored
    assert commit_record(failing).error == {
        "action": "store the revision", "path": "", "reason": "disk I/O error", "restored": True
    }  # fmt: skip
    assert why_unknown(failing) is None


def test_a_store_that_fails_and_a_host_that_cannot_go_back(failing: Rig) -> None:
    fails(failing, "publish")
    apply, calls = failing.host.apply, 0

    def second_time_fails(*given: object, **named: object) -> None:
        nonlocal calls
        calls += 1
        failing.host.fail_at = 0 if calls == 2 else None
        failing.host.fail_revert = calls == 2
        apply(*given, **named)  # type: ignore[arg-type]

    failing.host.apply = second_time_fails  # type: ignore[method-assign]
    error = failed(failing, servers(failing, A))
    assert not error.restored
    assert failing.pipeline.unknown == "store the revision: database or disk is full"
    assert commit_record(failing).state == "unknown"


def test_a_record_that_could_not_be_written_is_written_with_the_next_commit(failing: Rig) -> None:
    fails(failing, "publish", "close_journal")
    candidate = servers(failing, A)
    with pytest.raises(ApplyFailed):
        failing.commit(candidate, commit_id="t1")
    assert commit_record(failing).state == "applying"
    assert failing.pipeline.now_doing["t1"].state == "reverted"
    with pytest.raises(ApplyFailed) as again:
        failing.commit(servers(failing, B), commit_id="t2")
    assert (again.value.action, again.value.restored) == ("write journal", True)
    fails(failing)
    failing.commit(candidate, commit_id="t3")
    assert [commit_record(failing, name).state for name in ("t1", "t2", "t3")] == ["reverted", "reverted", "done"]
    assert failing.pipeline.now_doing == {}
    assert failing.store.intent() is None


def test_a_refusal_is_told_although_its_record_cannot_be_written(failing: Rig) -> None:
    failing.committed((ACCOUNTING, {"require_commitlog": True}))
    fails(failing, "save_commit_record")
    with pytest.raises(SemanticError, match="message"):
        failing.commit(servers(failing, A))
    assert failing.pipeline.now_doing == {}
