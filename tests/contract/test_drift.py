"""What somebody changes on the host: seen within a second, shown with how, taken over (trust, section 3)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.contract.wire import ACCOUNTING, NTP, ZONE, Caller
from tests.support.server import Server, until

DRIFT = "/api/drift"
SETTINGS = "/api/configuration/management/drift"
SECOND = 1.0


def found(caller: Caller) -> list[dict[str, Any]]:
    differing: list[dict[str, Any]] = caller.get(DRIFT).ok().json["drift"]
    return differing


@pytest.fixture
def host(server: Server, admin: Caller) -> Path:
    until(lambda: found(admin) == [], what="the host is as configured")
    return server.state / "root"


def test_its_settings_are_reachable_and_not_listed(admin: Caller) -> None:
    assert admin.body(SETTINGS) == {"exceptions": [], "mode": "alert"}
    listed = [item["key"] for item in admin.get("/api/configuration/management").json["items"]]
    assert "drift" not in listed
    admin.put(SETTINGS, {"mode": "mend", "exceptions": ["etc", "/etc", "/etc"]}).refuses(
        "InvalidRequestBody", ("format", "/exceptions/0"), ("duplicate", "/exceptions/2"), ("enum", "/mode")
    )


def test_a_file_that_somebody_changes_is_seen_at_once_and_put_back_by_repair(admin: Caller, host: Path) -> None:
    assert admin.get(DRIFT).meta["adopt"] == f"{DRIFT}/adopt"
    file = host / "etc/timezone"
    before = file.read_text()
    file.write_text("Asia/Tokyo\n")
    until(lambda: found(admin), what="the change is seen")
    (one,) = found(admin)
    assert (one["resource"], one["path"]) == ("file /etc/timezone", ZONE)
    assert one["found"].splitlines()[-2:] == [f"-{before.strip()}", "+Asia/Tokyo"]
    admin.put(SETTINGS, {"mode": "repair", "exceptions": []}).ok()
    admin.commit().ok()
    until(lambda: file.read_text() == before, what="it is put back")
    until(lambda: found(admin) == [])
    records = admin.get("/api/commits").ok().json["items"]
    assert ("doorward", "done") in [(item["body"]["user"], item["body"]["state"]) for item in records[:2]]
    admin.put(SETTINGS, {"mode": "alert", "exceptions": []}).ok()
    admin.commit().ok()


def test_repair_puts_the_host_back_once_in_the_name_of_who_asks(admin: Caller, host: Path) -> None:
    file = host / "etc/timezone"
    before = file.read_text()
    file.write_text("Asia/Tokyo\n")
    until(lambda: found(admin), what="the change is seen")
    commit = admin.post(f"{DRIFT}/repair").ok().meta["commit"]
    assert file.read_text() == before
    record = admin.body(commit)
    assert (record["user"], record["state"]) == ("admin", "done")
    until(lambda: found(admin) == [], what="it is over")


def test_the_kernel_tells_of_a_change_well_ahead_of_the_next_look(admin: Caller, host: Path) -> None:
    file = host / "etc/timezone"
    before, began = file.read_text(), time.monotonic()
    file.write_text("Asia/Tokyo\n")
    until(lambda: found(admin), what="the change is seen")
    seen = time.monotonic() - began
    file.write_text(before)
    until(lambda: found(admin) == [], what="and its end")
    assert seen < 30, "a look every 30 seconds would have been enough"


def test_what_stands_on_the_host_can_be_taken_over(admin: Caller, host: Path) -> None:
    link, sources = host / "etc/localtime", host / "etc/chrony/sources.d/doorward.sources"
    link.unlink()
    link.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    sources.write_text("# by hand\nserver 127.0.6.1 iburst\npool later.invalid iburst maxsources 4\n")
    until(lambda: {ZONE, NTP} <= {one["path"] for one in found(admin)}, what="both are seen")
    answer = admin.post(f"{DRIFT}/adopt").ok()
    assert answer.json["body"]["status"] == "open"
    assert admin.body(ZONE) == "Asia/Tokyo"
    assert admin.body(NTP) == [{"selection": "ip", "value": "127.0.6.1"}, {"selection": "fqdn", "value": "later.invalid"}]
    admin.commit().ok()
    until(lambda: found(admin) == [], what="what was found is configured")


def test_what_says_more_than_the_configuration_can_is_left(admin: Caller, host: Path) -> None:
    sources = host / "etc/chrony/sources.d/doorward.sources"
    before = sources.read_text()
    sources.write_text("server 127.0.6.1 iburst minpoll 3\n")
    until(lambda: found(admin), what="it is seen")
    answer = admin.post(f"{DRIFT}/adopt").ok()
    assert [(one["code"], one["path"]) for one in answer.meta["warnings"]] == [("not_adopted", NTP)]
    assert admin.changes() == []
    admin.delete("/api/transaction")
    sources.write_text(before)
    until(lambda: found(admin) == [])


def test_commits_are_no_drift(admin: Caller, host: Path) -> None:
    for number in range(4):
        admin.put(ZONE, ("Asia/Tokyo", "Etc/UTC")[number % 2]).ok()
        admin.put(ACCOUNTING, {"require_commitlog": False}).ok()
        admin.commit().ok()
        assert found(admin) == []
    assert host.is_dir()
