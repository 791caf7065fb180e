"""Commits that go back by themselves unless they are confirmed (section 13)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.wire import NTP, TRANSACTION, USERS, WEB, Caller, logged_in, make_user, resumed
from tests.support.server import Server, running, until

JANE = "the password of jane"


def pending(caller: Caller) -> int | None:
    left: int | None = caller.get(TRANSACTION).ok().meta.get("confirm_remaining_seconds")
    return left


@pytest.fixture
def settled(admin: Caller) -> Iterator[None]:
    """Confirms what a test leaves pending."""
    yield
    if pending(admin) is not None:
        admin.put(TRANSACTION, {"status": "confirm"}).ok()


@pytest.fixture(scope="module")
def janes_cookie(server: Server) -> str:
    admin = logged_in(server)
    make_user(admin, "jane", JANE, "-1002")
    admin.commit().ok()
    admin.close()
    jane = logged_in(server, "jane", JANE)
    jane.close()
    return jane.cookie


@pytest.fixture
def jane(server: Server, janes_cookie: str) -> Iterator[Caller]:
    """Somebody else."""
    with resumed(server, janes_cookie) as caller:
        yield caller


def test_pending_commit_is_in_effect_and_seen_by_everybody(admin: Caller, jane: Caller, settled: None) -> None:
    assert pending(admin) is None
    admin.put(WEB, {"timeout": 14}).ok()
    answer = admin.commit("try", confirm_seconds=3600).ok()
    assert answer.json["body"]["status"] == "closed"
    assert 3500 < answer.meta["confirm_remaining_seconds"] <= 3600
    assert admin.body(answer.meta["commit"])["state"] == "awaiting_confirmation"
    for caller in (admin, jane):
        assert 3500 < (pending(caller) or 0) <= 3600
        assert caller.get(NTP).meta["remaining_seconds"] == 14 * 60


def test_meanwhile_no_other_commit_and_no_confirmation_by_others(admin: Caller, jane: Caller, settled: None) -> None:
    admin.put(WEB, {"timeout": 15}).ok()
    admin.commit(confirm_seconds=3600).ok()
    for caller in (admin, jane):
        caller.put(NTP, []).ok()
        answer = caller.commit().is_error(409, "Conflict", user="admin")
        assert answer.error["details"].keys() == {"confirm_remaining_seconds", "user"}
        assert 3500 < answer.error["details"]["confirm_remaining_seconds"] <= 3600
        assert answer.error["message"] == "A commit awaits its confirmation."
        assert caller.status() == "open"
    jane.put(TRANSACTION, {"status": "confirm"}).is_error(409, "Conflict")
    assert pending(admin) is not None


def test_confirmation_from_another_session_of_the_account_makes_it_definite(admin: Caller, server: Server) -> None:
    admin.put(WEB, {"timeout": 16}).ok()
    done = admin.commit(confirm_seconds=3600).ok()
    other = logged_in(server)
    answer = other.put(TRANSACTION, {"status": "confirm"}).ok()
    assert answer.meta["revision"] == done.meta["revision"]
    assert "confirm_remaining_seconds" not in answer.meta
    assert answer.json["body"]["status"] == answer.json["transaction"]["status"] == "closed"
    assert pending(admin) is None
    assert admin.body(done.meta["commit"])["state"] == "done"
    other.put(TRANSACTION, {"status": "confirm"}).is_error(409, "Conflict")
    admin.put(WEB, {"timeout": 10}).ok()
    admin.commit().ok()
    other.close()


def test_whoever_renames_the_own_account_on_trial_can_confirm_it(admin: Caller, server: Server) -> None:
    path = f"{USERS}/{make_user(admin, 'before', JANE, '-1004')}"
    admin.commit().ok()
    before = logged_in(server, "before", JANE)
    before.put(path, {**before.body(path), "name": "after"}).ok()
    before.commit("another name", confirm_seconds=3600).ok()
    before.close()
    admin.put(TRANSACTION, {"status": "confirm"}).is_error(409, "Conflict")
    after = logged_in(server, "after", JANE)
    after.put(TRANSACTION, {"status": "confirm"}).ok()
    assert pending(after) is None
    after.close()


def test_confirm_keeps_the_open_transaction_of_who_confirms(admin: Caller) -> None:
    admin.put(WEB, {"timeout": 17}).ok()
    admin.commit(confirm_seconds=3600).ok()
    admin.put(NTP, []).ok()
    answer = admin.put(TRANSACTION, {"status": "confirm"}).ok()
    assert answer.json["body"]["status"] == "open"
    assert admin.body(NTP) == []


def test_nothing_changed_needs_no_confirmation(admin: Caller) -> None:
    admin.post(TRANSACTION).ok()
    answer = admin.commit(confirm_seconds=10).ok()
    assert "confirm_remaining_seconds" not in answer.meta
    assert pending(admin) is None


def test_unconfirmed_commits_go_back_by_themselves_also_through_a_restart(tmp_path: Path) -> None:
    """Two servers side by side, for the shortest time is 10 s: one goes on, one is killed and started again."""
    with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
        callers = []
        for server in (one, two):
            caller = logged_in(server)
            caller.put(NTP, [{"selection": "ip", "value": "127.0.7.1"}]).ok()
            caller.commit(confirm_seconds=10).ok()
            callers.append(caller)
        two.kill()
        two.start()
        callers[1].close()
        callers[1] = logged_in(two)
        for caller in callers:  # on a slow machine the time may be over by now
            until(lambda caller=caller: pending(caller) is None, 30)  # type: ignore[misc]
            assert caller.body(NTP) == [{"selection": "fqdn", "value": "pool.ntp.org"}]
            assert [source["value"] for source in caller.body("/api/time_status")["sources"]] == ["pool.ntp.org"]
            revision = caller.body("/api/revisions/3")
            assert (revision["author"], revision["parent"]) == ("doorward", 2)
            states = {item["body"]["revision"]: item["body"]["state"] for item in caller.get("/api/commits").json["items"]}
            assert states == {2: "reverted", 3: "done"}
            caller.put(TRANSACTION, {"status": "confirm"}).is_error(409, "Conflict")
            caller.put(WEB, {"timeout": 11}).ok()
            caller.commit().ok()
            caller.close()
