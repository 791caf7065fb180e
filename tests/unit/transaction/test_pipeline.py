"""A commit from plan to publication, and every way in which it can fail half-way."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from doorward.host.engine import ApplyError
from doorward.host.errors import HostError
from doorward.host.ntp_probe import ProbeResult
from doorward.store.port import CommitRecord, Edit, Intent
from doorward.transaction.order import Order
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.problems import SemanticError
from tests.support.server import until
from tests.unit.transaction.rig import ACCOUNTING, GROUPS, ROOT, SERVERS, SOURCES, WEB, ZONE, Rig, place
from tests.unit.transaction.steps import A, B, commit_record, failed, servers, why_unknown

if TYPE_CHECKING:
    from doorward.transaction.candidate import Running


def test_a_commit_is_in_effect_and_stored_when_it_returns(rig: Rig) -> None:
    done = rig.commit(servers(rig, A), commit_id="t1", message="why")
    assert rig.sources() == b"server 198.51.100.1 iburst\n"
    assert rig.host.daemon.names == {"198.51.100.1"}
    head = rig.store.head()
    assert head is not None
    assert (head.number, head.author, head.address, head.message, head.changes) == (2, "admin", "192.0.2.9", "why", 1)
    assert (rig.number, rig.pipeline.running.hash) == (2, head.hash)
    assert [edit.place for edit in rig.store.edits(2)] == [place(SERVERS)]
    assert (done.state, done.revision, done.error, done.finished is None) == ("done", 2, None, False)
    assert commit_record(rig) == done
    assert rig.store.intent() is None
    assert rig.pipeline.now_doing == {}


def test_the_journal_is_written_before_the_host_is_touched(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    apply = rig.host.apply

    def watched(*given: object, **named: object) -> None:
        intent = rig.store.intent()
        assert intent is not None
        seen.append((intent.commit_id, [edit.place for edit in intent.edits], commit_record(rig).state, rig.store.head()))
        apply(*given, **named)  # type: ignore[arg-type]

    head = rig.store.head()
    monkeypatch.setattr(rig.host, "apply", watched)
    rig.commit(servers(rig, A), commit_id="t1")
    assert seen == [("t1", [place(SERVERS)], "applying", head)]


def test_a_commit_without_changes_makes_no_revision(rig: Rig) -> None:
    calls = len(rig.host.calls)
    done = rig.commit(rig.candidate(), commit_id="t1")
    assert (done.state, done.revision, rig.number) == ("done", 1, 1)
    assert commit_record(rig) == done
    assert ("apply",) not in [call[:1] for call in rig.host.calls[calls:]]


def test_what_the_host_has_no_part_in_is_stored_without_it(rig: Rig) -> None:
    calls = len(rig.host.calls)
    rig.committed((WEB, {"timeout": 20}))
    assert rig.value(WEB) == {"timeout": 20}
    assert rig.host.calls[calls:] == [("plan", 0)]


def test_only_what_a_commit_touches_is_rendered(rig: Rig) -> None:
    before = dict(rig.host.files.entries)
    rig.committed((ZONE, "Europe/Budapest"))
    changed = {path for path, entry in rig.host.files.entries.items() if before.get(path) != entry}
    assert changed == {"/etc/localtime", "/etc/timezone"}
    resources = rig.pipeline.desired(rig.pipeline.running.snapshot, [])
    assert resources == []


def test_listeners_are_told_after_the_pointer_moved_and_cannot_undo_it(rig: Rig) -> None:
    told: list[tuple[int, int, int]] = []

    def bad(before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
        raise RuntimeError("a listener of somebody else")

    def good(before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
        told.append((before.number, after.number, len(edits)))
        assert rig.pipeline.running is after

    rig.pipeline.subscribers.published += [bad, good]
    rig.commit(servers(rig, A))
    rig.commit(rig.candidate())
    assert told == [(1, 2, 1)]


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_step_that_fails_puts_everything_back(rig: Rig, step: int) -> None:
    before = dict(rig.host.files.entries)
    candidate = servers(rig, A)
    rig.put(candidate, ZONE, "Europe/Budapest")
    rig.host.fail_at = step
    error = failed(rig, candidate)
    assert error.restored
    assert error.reason == "the fake was told to fail"
    assert error.path in {ROOT + SERVERS, ROOT + ZONE}
    assert error.commit_id == "t1"
    assert rig.host.files.entries == before
    assert rig.pipeline.unknown is None
    ended = commit_record(rig)
    assert (ended.state, ended.revision) == ("reverted", None)
    assert ended.error == {"action": error.action, "path": error.path, "reason": error.reason, "restored": True}
    assert ended.finished
    assert rig.store.intent() is None
    rig.host.fail_at = None
    rig.commit(candidate)
    assert rig.value(ZONE) == "Europe/Budapest"


def test_a_failed_read_back_puts_everything_back(rig: Rig) -> None:
    before = rig.sources()
    rig.host.fail_verify = True
    error = failed(rig, servers(rig, A))
    assert (error.action, error.restored) == ("write sources", True)
    assert rig.sources() == before
    assert commit_record(rig).state == "reverted"


def test_a_host_that_cannot_be_put_back_is_unknown_and_loud(rig: Rig) -> None:
    rig.host.fail_verify = rig.host.fail_revert = True
    error = failed(rig, servers(rig, A))
    assert not error.restored
    assert why_unknown(rig) == "write sources: the fake was told not to show it"
    ended = commit_record(rig)
    assert ended.state == "unknown"
    assert ended.error is not None
    assert ended.error["restored"] is False
    assert rig.store.intent() is None
    rig.host.fail_verify = rig.host.fail_revert = False
    rig.pipeline.recover()
    assert why_unknown(rig) is None
    assert rig.sources() == b"pool pool.ntp.org iburst maxsources 4\n"


def test_an_unfinished_commit_of_another_release_is_undone_as_far_as_it_is_known(rig: Rig) -> None:
    """The server was killed in the middle of a commit, and upgraded before it started again."""
    edits = (
        Edit(Place(f"{ROOT}nowhere/now"), None, b"1"),
        Edit(place(ZONE), b'"UTC"', b'{"name":"UTC"}'),
        Edit(place(SERVERS), encode(rig.value(SERVERS)), encode(A)),
    )
    rig.store.begin(Intent("t1", edits), CommitRecord("t1", "jane", "2026-11-22T10:00:00Z", "applying"))
    rig.pipeline.recover()
    assert rig.store.intent() is None
    assert why_unknown(rig) is None
    assert commit_record(rig).state == "reverted"
    assert rig.sources() == b"pool pool.ntp.org iburst maxsources 4\n"


def test_a_host_that_cannot_be_looked_at_refuses_the_commit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise HostError("the disk does not answer")

    candidate = servers(rig, A)
    with monkeypatch.context() as patched:
        patched.setattr(rig.host, "plan", broken)
        error = failed(rig, candidate)
        with pytest.raises(ApplyError, match="the disk does not answer"):
            rig.pipeline.plan(candidate)
    assert (error.path, error.reason, error.restored) == (ROOT + SERVERS, "the disk does not answer", True)
    assert commit_record(rig).state == "reverted"
    rig.commit(candidate)


def test_a_commit_that_takes_too_long_is_put_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.transaction.pipeline.APPLY_SECONDS", 0.0)
    before = rig.sources()
    error = failed(rig, servers(rig, A))
    assert "time allowed" in error.reason
    assert error.restored
    assert rig.sources() == before


def test_the_next_commit_first_makes_an_unknown_host_what_runs(rig: Rig) -> None:
    rig.host.fail_verify = rig.host.fail_revert = True
    failed(rig, servers(rig, A))
    assert why_unknown(rig)
    rig.host.fail_verify = rig.host.fail_revert = False
    rig.committed((WEB, {"timeout": 20}))
    assert why_unknown(rig) is None
    assert rig.sources() == b"pool pool.ntp.org iburst maxsources 4\n"


def test_the_states_of_a_commit_can_be_watched(rig: Rig) -> None:
    seen: list[str] = []
    watching = threading.Event()

    def watch() -> None:
        while not watching.is_set():
            for one in list(rig.pipeline.now_doing.values()):
                if one.state not in seen:
                    seen.append(one.state)

    rig.host.delay_seconds = 0.1
    verify = rig.host._verify

    def slow_verify(*given: object) -> None:
        time.sleep(0.05)
        verify(*given)  # type: ignore[arg-type]

    rig.host._verify = slow_verify  # type: ignore[assignment]
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        committing = threading.Thread(target=lambda: rig.commit(servers(rig, A), commit_id="t1"))
        committing.start()
        until(lambda: "verifying" in seen, what="the state verifying")
        committing.join()
    finally:
        watching.set()
        watcher.join()
    assert set(seen) <= {"validating", "applying", "verifying"}
    assert commit_record(rig).state == "done"


def test_a_commit_message_is_asked_for_by_the_running_configuration(rig: Rig) -> None:
    rig.committed((ACCOUNTING, {"require_commitlog": True}))
    candidate = servers(rig, A)
    with pytest.raises(SemanticError) as caught:
        rig.commit(candidate, commit_id="t1")
    assert [(p.code, p.path, p.pointer) for p in caught.value.problems] == [
        ("message_required", "/api/transaction", "/commit_message")
    ]
    refused = commit_record(rig)
    assert (refused.state, (refused.error or {})["type"]) == ("failed", "SemanticError")
    rig.commit(rig.candidate())
    rig.commit(candidate, message="why")
    rig.committed((ACCOUNTING, {"require_commitlog": False}), message="no more")
    rig.commit(servers(rig, B))


def test_a_plan_touches_nothing(rig: Rig) -> None:
    candidate = servers(rig, A)
    rig.put(candidate, ZONE, "Europe/Budapest")
    files, documents = dict(rig.host.files.entries), sorted(rig.store.documents())
    report = rig.pipeline.plan(candidate)
    assert [(action.action, action.effect, action.origin.removeprefix(ROOT)) for action in report.plan.actions] == [
        ("write sources", "none", SERVERS),
        ("link /etc/localtime", "none", ZONE),
        ("write /etc/timezone", "none", ZONE),
        ("reload chronyd", "reload", SERVERS),
        ("schedule core_files", "none", "troubleshooting"),
    ]
    assert report.problems == ()
    assert rig.host.files.entries == files
    assert sorted(rig.store.documents()) == documents
    assert rig.store.commit_records() == []
    assert rig.number == 1


def test_a_daemon_that_is_not_installed_is_warned_about(rig: Rig) -> None:
    rig.host.daemon.absent = "chronyd is not installed"
    done = rig.commit(servers(rig, A))
    assert [(w["code"], w["path"]) for w in done.warnings] == [
        ("few_time_sources", ROOT + SERVERS),
        ("daemon_absent", ROOT + SERVERS),
    ]
    assert rig.sources() == b"server 198.51.100.1 iburst\n"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (ProbeResult(resolved=False, answered=False), "unresolved_name"),
        (ProbeResult(resolved=True, answered=False), "no_answer"),
        (ProbeResult(resolved=True, answered=True, stratum=0, leap=0), "unsynchronised"),
        (ProbeResult(resolved=True, answered=True, stratum=16, leap=0), "unsynchronised"),
        (ProbeResult(resolved=True, answered=True, stratum=2, leap=3), "unsynchronised"),
        (ProbeResult(resolved=True, answered=True, stratum=2, leap=0, offset_seconds=10.5), "far_off"),
        (ProbeResult(resolved=True, answered=True, stratum=2, leap=0, offset_seconds=-11), "far_off"),
        (ProbeResult(resolved=True, answered=True, stratum=2, leap=0, offset_seconds=9.9), None),
        (None, None),
    ],
)
def test_what_is_known_of_added_time_servers_is_warned_about(rig: Rig, result: ProbeResult | None, code: str | None) -> None:
    if result is not None:
        rig.prober.results["198.51.100.2"] = result
    rig.committed((SERVERS, A))
    done = rig.commit(servers(rig, [*A, *B]), commit_id="t1")
    few = [("few_time_sources", ROOT + SERVERS, "")]
    expected = few if code is None else [*few, (code, ROOT + SERVERS, "/1/value")]
    assert [(w["code"], w["path"], w["pointer"]) for w in done.warnings] == expected
    assert commit_record(rig).warnings == done.warnings
    again = rig.commit(servers(rig, [*B, *A])).warnings
    assert [(w["code"], w["path"], w["pointer"]) for w in again] == few


def test_a_record_keeps_the_key_of_its_request(rig: Rig) -> None:
    candidate = rig.candidate()
    rig.post(candidate, GROUPS, {"name": "own"})
    done = rig.pipeline.commit(candidate, Order("jane", "192.0.2.9", idempotency_key="k", request="digest", account="ca2d"))
    assert rig.store.commit_record("k", "ca2d") == done
    assert (done.user, done.request) == ("jane", "digest")


def test_drift_is_put_right_by_the_next_commit_that_touches_it(rig: Rig) -> None:
    rig.host.files.remove(SOURCES)
    rig.committed((SERVERS, A))
    assert rig.sources() == b"server 198.51.100.1 iburst\n"
