"""What every host does, asked of the fake and of the sandbox alike."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from doorward.host.engine import ApplyError
from doorward.host.resources import Daemon, File, HostResource, Symlink, Zone

if TYPE_CHECKING:
    from collections.abc import Callable

    from doorward.host.engine import Host
    from doorward.host.plan import Plan

SOURCES = "/etc/chrony/sources.d/doorward.sources"
NTP = "/api/configuration/datetime/ntp_servers"


def ntp(*servers: str) -> list[HostResource]:
    text = "".join(f"server {server} iburst\n" for server in servers)
    return [
        File(SOURCES, text.encode(), origin=NTP, label="sources"),
        Daemon("chronyd", (SOURCES,), servers, origin=NTP),
    ]


def zone(name: str) -> list[HostResource]:
    return [
        Symlink("/etc/localtime", f"/usr/share/zoneinfo/{name}", origin="tz"),
        File("/etc/timezone", f"{name}\n".encode(), origin="tz"),
        Zone(name, origin="tz"),
    ]


def texts(plan: Plan) -> list[str]:
    return [action.action for action in plan.actions]


def test_a_new_state_is_planned_applied_and_then_needs_nothing(host: Host, soon: float) -> None:
    wanted = [*ntp("192.0.2.1"), *zone("America/New_York")]
    plan = host.plan([], wanted)
    assert texts(plan)[:3] == ["write sources", "link /etc/localtime", "write /etc/timezone"]
    assert texts(plan)[3] in {"start chronyd", "skip chronyd"}
    assert [action.origin for action in plan.actions] == [NTP, "tz", "tz", NTP]
    told: list[str] = []
    host.apply(plan, deadline=soon, progress=told.append)
    assert told == ["applying", "verifying"]
    again = host.plan([], wanted, full=True)
    assert [text for text in texts(again) if text != "skip chronyd"] == []
    assert [warning.code for warning in host.drift(wanted)] in ([], ["daemon_absent"])


def test_equal_states_need_no_look_at_the_host(host: Host) -> None:
    # Nothing of this is on the host, and nobody looked.
    assert host.plan(ntp("192.0.2.1"), ntp("192.0.2.1")).actions == ()


def test_a_resource_that_is_gone_is_removed_after_the_others_are_written(host: Host, soon: float) -> None:
    old: list[HostResource] = [File("/etc/a", b"a"), Symlink("/etc/link", "a")]
    host.apply(host.plan([], old), deadline=soon)
    new: list[HostResource] = [File("/etc/b", b"b", label="b")]
    plan = host.plan(old, new)
    assert texts(plan) == ["write b", "remove /etc/a", "remove /etc/link"]
    host.apply(plan, deadline=soon)
    assert host.plan([], new, full=True).actions == ()
    assert texts(host.plan([], old, full=True)) == ["write /etc/a", "link /etc/link"]


def test_full_removes_what_only_the_old_state_has_and_looks_at_all_of_the_new(host: Host, soon: float) -> None:
    same, gone = File("/etc/same", b"1"), File("/etc/gone", b"2")
    host.apply(host.plan([], [gone]), deadline=soon)
    assert texts(host.plan([same, gone], [same], full=True)) == ["write /etc/same", "remove /etc/gone"]
    assert texts(host.plan([same, gone], [same])) == ["remove /etc/gone"]


def test_a_path_may_turn_from_file_to_link(host: Host, soon: float) -> None:
    old: list[HostResource] = [File("/etc/x", b"x")]
    new: list[HostResource] = [Symlink("/etc/x", "y")]
    host.apply(host.plan([], old), deadline=soon)
    host.apply(host.plan(old, new), deadline=soon)
    assert host.drift(new) == []


def test_mode_is_part_of_a_file(host: Host, soon: float) -> None:
    host.apply(host.plan([], [File("/etc/key", b"k", 0o600)]), deadline=soon)
    assert host.drift([File("/etc/key", b"k", 0o600)]) == []
    (warning,) = host.drift([File("/etc/key", b"k", 0o644, origin="o")])
    assert (warning.code, warning.origin) == ("configuration_drift", "o")


def test_drift_names_missing_and_changed(host: Host, soon: float) -> None:
    (missing,) = host.drift([File("/etc/a", b"a")])
    assert missing.message == "/etc/a is missing"
    host.apply(host.plan([], [File("/etc/a", b"other")]), deadline=soon)
    (changed,) = host.drift([File("/etc/a", b"a")])
    assert changed.message == "/etc/a was changed by someone else"


def test_a_zone_that_is_not_the_links_fails_the_change_and_everything_is_put_back(host: Host, soon: float) -> None:
    old = zone("Etc/UTC")
    host.apply(host.plan([], old), deadline=soon)
    lying = [*zone("America/New_York")[:2], Zone("Asia/Tokyo", origin="tz")]
    with pytest.raises(ApplyError) as caught:
        host.apply(host.plan(old, lying), deadline=soon)
    assert caught.value.restored
    assert caught.value.action == "verify zone /etc/localtime"
    assert caught.value.origin == "tz"
    assert "JST" in caught.value.reason
    assert host.drift(old) == []
    assert [warning.code for warning in host.drift(lying)] == ["configuration_drift"] * 3


def test_a_deadline_in_the_past_changes_nothing(host: Host) -> None:
    plan = host.plan([], [File("/etc/a", b"a")])
    with pytest.raises(ApplyError) as caught:
        host.apply(plan, deadline=time.monotonic() - 1)
    assert caught.value.restored
    assert "time allowed" in caught.value.reason
    assert texts(host.plan([], [File("/etc/a", b"a")])) == ["write /etc/a"]


def test_a_deadline_met_before_the_proof_puts_back(host: Host) -> None:
    old, new = [File("/etc/a", b"1")], [File("/etc/a", b"2"), File("/etc/b", b"2")]
    host.apply(host.plan([], old), deadline=time.monotonic() + 30)
    plan = host.plan(old, new)
    with pytest.raises(ApplyError) as caught:
        host.apply(plan, deadline=time.monotonic() + 0.2, progress=_linger_while("verifying", 0.3))
    assert caught.value.restored
    assert host.drift(old) == []
    assert [warning.message for warning in host.drift(new)] == [
        "/etc/a was changed by someone else",
        "/etc/b is missing",
    ]


def _linger_while(stage: str, seconds: float) -> Callable[[str], None]:
    """A progress listener that spends the rest of the time in one stage."""

    def listen(told: str) -> None:
        end = time.monotonic() + seconds
        while told == stage and time.monotonic() < end:
            pass

    return listen


def test_two_resources_for_one_thing_are_refused(host: Host) -> None:
    with pytest.raises(ValueError, match="same file: /etc/a"):
        host.plan([], [File("/etc/a", b"1"), File("/etc/a", b"2")])


@pytest.mark.parametrize("path", ["/etc/../../escape", "relative"])
def test_a_path_that_is_not_plain_is_refused(host: Host, soon: float, path: str) -> None:
    with pytest.raises(ApplyError, match="plain absolute path"):
        host.apply(host.plan([], [File(path, b"x")]), deadline=soon)


def test_start_and_stop_may_be_repeated(host: Host) -> None:
    host.start()
    host.start()
    host.stop()
    host.stop()
    assert host.name == "sandbox"


def test_time_without_a_running_daemon(host: Host) -> None:
    body = host.time_status().as_dict()
    assert set(body) == {"clock", "daemon", "sources", "timezone"}
    assert body["daemon"] == {"name": "chrony", "running": False, "version": ""}
    assert body["sources"] == []
    assert body["clock"]["synchronised"] is False
    assert body["clock"]["stratum"] is None
