"""The main job with curl alone: log in, change the time servers, look, commit, and chronyd uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.server import Server, until
from tests.system.chrony_support import listed
from tests.system.curl import NTP, ZONE, Curl, ip

POOL = {"selection": "fqdn", "value": "pool.ntp.org"}


@pytest.fixture
def curl(fresh: Server, tmp_path: Path) -> Curl:
    made = Curl(fresh, tmp_path)
    assert made.log_in().status == 200
    return made


def test_a_server_added_with_curl_is_in_chronyds_own_list_and_survives_kill_9(fresh: Server, curl: Curl, tmp_path: Path) -> None:
    assert curl.get(NTP) == [POOL]
    assert listed(fresh.state) == ["pool.ntp.org"]

    added = curl("POST", NTP, {"selection": "ip", "value": "127.0.0.40"})
    assert added.status == 201
    assert f"location: {NTP}\n" in added.head.lower().replace("\r", "")
    assert added.body == [POOL, *ip("127.0.0.40")]

    assert curl("GET", "/api/transaction/changes").json["changes"] == [
        {"new_value": [POOL, *ip("127.0.0.40")], "old_value": [POOL], "path": NTP, "type": "replace"}
    ]
    plan = curl.get("/api/transaction/plan")
    assert plan["actions"] == [
        {"action": "write sources", "effect": "none", "path": NTP},
        {"action": "reload chronyd", "effect": "reload", "path": NTP},
    ]
    assert (plan["changes"], plan["conflicts"], plan["problems"]) == (1, [], [])
    assert listed(fresh.state) == ["pool.ntp.org"], "nothing has happened yet"

    done = curl.commit(commit_message="Own time server")
    # No waiting: when the answer is here, chronyd uses it.
    assert set(listed(fresh.state)) == {"pool.ntp.org", "127.0.0.40"}
    assert done.body["status"] == "closed"
    assert done.json["meta"]["revision"] == 2
    assert curl.get(done.json["meta"]["commit"])["state"] == "done"

    fresh.kill()
    fresh.start()
    again = Curl(fresh, tmp_path, "again")
    again.log_in()
    assert again.get(NTP) == [POOL, *ip("127.0.0.40")]
    assert set(listed(fresh.state)) == {"pool.ntp.org", "127.0.0.40"}
    assert again.get(done.json["meta"]["commit"])["state"] == "done"
    revision = again.get("/api/revisions/2")
    assert (revision["author"], revision["address"], revision["commit_message"]) == ("admin", "127.0.0.1", "Own time server")
    assert again("GET", "/api/revisions/2/changes").json["changes"][0]["path"] == NTP


def test_a_removed_server_is_gone_from_chronyds_list(fresh: Server, curl: Curl) -> None:
    curl("PUT", NTP, [*ip("127.0.0.40", "127.0.0.41"), {"selection": "fqdn", "value": "time.invalid"}])
    assert curl.commit().status == 200
    assert set(listed(fresh.state)) == {"127.0.0.40", "127.0.0.41", "time.invalid"}
    curl("PUT", NTP, ip("127.0.0.41"))
    assert curl.commit().status == 200
    assert listed(fresh.state) == ["127.0.0.41"]
    curl("PUT", NTP, [])
    emptied = curl.commit()
    assert emptied.status == 200
    assert [warning["code"] for warning in emptied.json["meta"]["warnings"]] == ["no_time_source"]
    assert listed(fresh.state) == []


def test_a_discarded_change_leaves_no_trace(fresh: Server, curl: Curl) -> None:
    assert curl("POST", NTP, {"selection": "ip", "value": "127.0.0.40"}).status == 201
    assert curl("DELETE", "/api/transaction").status == 200
    assert curl.get(NTP) == [POOL]
    assert curl.get("/api/transaction") == {"commit_message": "optional", "status": "closed"}
    assert curl("GET", "/api/transaction/changes").json["changes"] == []
    assert curl("DELETE", "/api/transaction").status == 409
    assert listed(fresh.state) == ["pool.ntp.org"]


def test_two_logins_collide_and_lose_nothing(fresh: Server, curl: Curl, tmp_path: Path) -> None:
    other = Curl(fresh, tmp_path, "other")
    other.log_in()
    mine, theirs = ip("127.0.0.40"), ip("127.0.0.41")
    curl("PUT", NTP, mine)
    other("PUT", NTP, theirs)
    other("PUT", ZONE, "Europe/Budapest")
    assert other.commit().json["meta"]["revision"] == 2

    refused = curl.commit()
    assert (refused.status, refused.error["type"]) == (409, "Conflict")
    assert refused.error["details"] == {
        "conflicts": [{"author": "admin", "path": NTP, "revision": 2, "running_value": theirs}],
        "paths": [NTP],
    }
    assert curl.get(NTP) == mine, "the candidate is still there"
    assert other.get(NTP) == theirs
    assert listed(fresh.state) == ["127.0.0.41"]
    assert curl.get("/api/transaction/plan")["conflicts"] == [NTP]

    # Settled by taking the running value, or by starting again.
    curl("PUT", NTP, theirs)
    assert curl.commit().json["meta"]["revision"] == 2
    curl("PUT", NTP, mine)
    assert curl.commit().json["meta"]["revision"] == 3
    assert listed(fresh.state) == ["127.0.0.40"]
    assert curl.get(ZONE) == "Europe/Budapest"


def test_a_timed_commit_goes_back_on_host_and_in_store(fresh: Server, curl: Curl) -> None:
    curl("PUT", NTP, ip("127.0.0.40"))
    done = curl.commit(confirm_seconds=600)
    assert listed(fresh.state) == ["127.0.0.40"]
    assert 0 < done.json["meta"]["confirm_remaining_seconds"] <= 600
    fresh.end_trial()
    until(lambda: curl.get(NTP) == [POOL], 30, "the commit goes back")
    assert listed(fresh.state) == ["pool.ntp.org"]
    until(lambda: curl.get(done.json["meta"]["commit"])["state"] == "reverted", 5, "its record says so")
    assert curl.get("/api/revisions/3")["author"] == "doorward"
    assert curl.issues() == {"errors": [], "warnings": []}
