"""The sandbox host with a real chronyd, proven from outside with chronyc. Nothing leaves the machine."""

from __future__ import annotations

import itertools
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doorward.host.engine import ApplyError, Host, HostRefusedError
from doorward.host.resources import Daemon, File, HostResource
from doorward.host.sandbox import run_directory, sandbox
from tests.support.server import until
from tests.support.waiting import PATIENCE
from tests.system.chrony_support import NTP, SOURCES, listed, need_chrony, pid_of, servers, time_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.xdist_group("chronyd")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    need_chrony()
    return tmp_path / "state"


@pytest.fixture
def host(state: Path) -> Iterator[Host]:
    made = sandbox(state)
    made.start()
    yield made
    made.stop()


def change(host: Host, old: Sequence[HostResource], new: Sequence[HostResource], *, seconds: float = 30) -> list[str]:
    plan = host.plan(old, new)
    host.apply(plan, deadline=time.monotonic() + seconds)
    return [action.action for action in plan.actions]


def test_committed_servers_are_in_chronys_own_list(host: Host, state: Path) -> None:
    first = servers("127.0.0.50", "ntp.later.invalid")
    assert change(host, [], first) == ["write sources", "start chronyd"]
    assert sorted(listed(state)) == ["127.0.0.50", "ntp.later.invalid"]
    pid = pid_of(state)
    second = servers("NTP.Later.invalid", "::1", "127.0.0.51")
    assert change(host, first, second) == ["write sources", "reload chronyd"]
    assert {name.lower() for name in listed(state)} == {"ntp.later.invalid", "::1", "127.0.0.51"}
    assert pid_of(state) == pid, "a change of the list never restarts the daemon"
    assert host.plan([], second, full=True).actions == ()
    assert host.drift(second) == []
    assert change(host, second, servers()) == ["write sources", "reload chronyd"]
    assert listed(state) == []
    assert (state / "root" / SOURCES.strip("/")).read_bytes() == b""


def test_an_address_in_another_spelling_is_the_same(host: Host, state: Path) -> None:
    change(host, [], servers("2001:0DB8::0001"))
    assert host.drift(servers("2001:db8::1")[1:]) == []


def test_sources_that_cannot_be_written_leave_everything_as_it_was(host: Host, state: Path) -> None:
    old = servers("127.0.0.50")
    change(host, [], old)
    directory = state / "root/etc/chrony/sources.d"
    directory.rename(directory.with_name("away"))
    directory.write_text("in the way")
    with pytest.raises(ApplyError) as caught:
        change(host, old, servers("127.0.0.51"))
    assert (caught.value.action, caught.value.origin, caught.value.restored) == ("write sources", NTP, True)
    assert listed(state) == ["127.0.0.50"]
    directory.unlink()
    directory.with_name("away").rename(directory)
    assert host.drift(old) == []


LISTS = [
    (),
    ("127.0.0.1",),
    ("localhost",),
    ("localhost", "127.0.0.1"),
    ("127.0.0.1", "localhost"),
    ("ip6-localhost", "localhost", "ntp.later.invalid"),
    ("::1", "ip6-localhost", "127.0.0.1"),
    ("127.0.0.2", "localhost"),
]
"""Names and addresses of one host, in any order, also several that stand for the same source."""


def test_what_chronyd_takes_does_not_hang_on_what_it_had_before(host: Host, state: Path) -> None:
    before: list[HostResource] = []
    for old, new in itertools.permutations(LISTS, 2):
        for names in (old, new):
            after = servers(*names)
            change(host, before, after)
            before = after
            assert {name.lower() for name in listed(state)} == set(names), (old, new)
            assert host.drift(after) == [], (old, new)


def test_going_back_does_not_hang_on_what_it_had_either(host: Host, state: Path) -> None:
    old, wrong = servers("127.0.0.1"), Daemon("chronyd", (SOURCES,), ("localhost", "not in the file"), origin=NTP)
    change(host, [], old)
    with pytest.raises(ApplyError) as caught:
        change(host, old, [servers("localhost")[0], wrong])
    assert caught.value.restored
    assert caught.value.reason.startswith("chronyd did not list not in the file")
    assert listed(state) == ["127.0.0.1"]


def test_what_chronyd_does_not_list_is_not_committed(host: Host, state: Path) -> None:
    old = servers("127.0.0.50")
    change(host, [], old)
    # chronyd answers "200 OK" to the reload and skips the line it does not understand.
    bad = File(SOURCES, b"server 127.0.0.50 iburst\nserver 127.0.0.51 nonsense\n", origin=NTP, label="sources")
    with pytest.raises(ApplyError) as caught:
        change(host, old, [bad, Daemon("chronyd", (SOURCES,), ("127.0.0.50", "127.0.0.51"), origin=NTP)])
    assert (caught.value.action, caught.value.restored) == ("reload chronyd", True)
    assert caught.value.reason.startswith("chronyd did not list 127.0.0.51")
    assert listed(state) == ["127.0.0.50"]
    assert host.drift(old) == []


def test_a_failed_first_change_leaves_no_sources(host: Host, state: Path) -> None:
    with pytest.raises(ApplyError) as caught:
        change(host, [], [servers("127.0.0.50")[0], Daemon("chronyd", (SOURCES,), ("127.0.0.99",), origin=NTP)], seconds=2)
    assert caught.value.restored
    assert not (state / "root" / SOURCES.strip("/")).exists()


def test_a_killed_chronyd_is_started_again_with_its_sources(host: Host, state: Path) -> None:
    wanted = servers("127.0.0.50")
    change(host, [], wanted)
    first = pid_of(state)
    os.kill(first, signal.SIGKILL)
    seen: list[str] = []

    def back() -> bool:
        seen.extend(warning.code for warning in host.drift(wanted))
        return pid_of(state) not in {0, first} and host.drift(wanted) == []

    until(back)
    assert "daemon_down" in seen
    assert listed(state) == ["127.0.0.50"]


def test_a_frozen_chronyd_is_replaced(host: Host, state: Path) -> None:
    old = servers("127.0.0.50")
    change(host, [], old)
    frozen = pid_of(state)
    os.kill(frozen, signal.SIGSTOP)
    assert change(host, old, servers("127.0.0.51")) == ["write sources", "start chronyd"]
    assert pid_of(state) != frozen
    assert listed(state) == ["127.0.0.51"]


def test_a_chronyd_that_cannot_start_fails_the_commit(host: Host, state: Path) -> None:
    old = servers("127.0.0.50")
    change(host, [], old)
    host.stop()
    run = run_directory(state.resolve())
    until(lambda: pid_of(state) == 0)
    if run.is_dir():
        run.rename(run.with_name(run.name + "-away"))
    run.write_text("in the way")
    try:
        with pytest.raises(ApplyError) as caught:
            change(host, old, servers("127.0.0.51"), seconds=1)
        assert (caught.value.action, caught.value.restored) == ("start chronyd", True)
        assert "did not start" in caught.value.reason
        assert (state / "root" / SOURCES.strip("/")).read_bytes() == b"server 127.0.0.50 iburst\n"
    finally:
        host.stop()
        run.unlink()


def test_drift_sees_foreign_sources_and_changed_files(host: Host, state: Path) -> None:
    wanted = servers("127.0.0.50")
    change(host, [], wanted)
    folder = state / "root/etc/chrony/sources.d"
    (folder / "dhcp.sources").write_text("server 127.0.0.60\n")
    (folder / "doorward.sources").write_text("server 127.0.0.61\n")
    (state / "root/etc/chrony/chrony.conf").write_text("port 123\n")
    assert sorted(warning.code for warning in host.drift(wanted)) == [
        "configuration_drift",
        "configuration_drift",
        "foreign_source",
    ]
    plan = host.plan(wanted, wanted, full=True)
    assert [action.action for action in plan.actions] == ["write sources", "restart chronyd"]
    host.apply(plan, deadline=time.monotonic() + 30)
    assert [warning.code for warning in host.drift(wanted)] == ["foreign_source"]
    until(
        lambda: (
            {one.value: one.origin for one in host.time_status().sources}
            == {"127.0.0.50": "configuration", "127.0.0.60": "foreign"}
        )
    )


OWNER = """
import sys, time
from pathlib import Path
from doorward.host.sandbox import sandbox
from tests.system.chrony_support import servers
from tests.support.server import until
host = sandbox(Path(sys.argv[1]))
host.start()
host.apply(host.plan([], servers("127.0.0.50"), full=True), deadline=time.monotonic() + 30)
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_new_start_works_after_the_owner_was_killed(state: Path) -> None:
    checkout = Path(__file__).parents[2]
    command = [sys.executable, "-c", OWNER, str(state)]
    environment = {**os.environ, "PYTHONPATH": f"{checkout / 'src'}:{checkout}"}
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert owner.stdout is not None
    assert owner.stdin is not None
    assert b"ready\n" in owner.stdout
    owner.kill()
    owner.wait()
    owner.stdin.close()
    owner.stdout.close()
    assert pid_of(state) != 0, "a killed chronyd leaves its pid file"
    again = sandbox(state)
    again.start()
    try:
        wanted = servers("127.0.0.50", "127.0.0.51")
        plan = again.plan(servers("127.0.0.50"), wanted, full=True)
        again.apply(plan, deadline=time.monotonic() + 30)
        assert sorted(listed(state)) == ["127.0.0.50", "127.0.0.51"]
    finally:
        again.stop()


def test_an_orphan_is_ended_by_the_next_start(host: Host, state: Path) -> None:
    change(host, [], servers("127.0.0.50"))
    orphan = pid_of(state)
    # A second host on the same state stands for the next start after an owner whose child survived it.
    again = sandbox(state)
    again.start()
    try:
        until(lambda: pid_of(state) != orphan)
    finally:
        again.stop()


def test_a_pid_file_that_names_a_stranger_does_not_keep_chronyd_from_starting(state: Path) -> None:
    run = run_directory(state.resolve())
    run.mkdir(parents=True, mode=0o700)
    (run / "chronyd.pid").write_text(f"{os.getpid()}\n")
    made = sandbox(state)
    made.start()
    try:
        change(made, [], servers("127.0.0.50"))
        assert listed(state) == ["127.0.0.50"]
    finally:
        made.stop()


def test_a_state_directory_with_blanks_and_great_length(tmp_path: Path) -> None:
    need_chrony()
    state = tmp_path / ("a state with blanks # and more " + "x" * 90)
    made = sandbox(state)
    made.start()
    try:
        change(made, [], servers("127.0.0.50"))
        assert listed(state) == ["127.0.0.50"]
        assert made.drift(servers("127.0.0.50")) == []
    finally:
        made.stop()
    assert not run_directory(state.resolve()).exists(), "nothing of ours stays in /tmp"


def test_time_status_with_a_server_that_answers(host: Host, state: Path, tmp_path: Path) -> None:
    with time_server(tmp_path / "server", "127.0.0.2"):
        change(host, [], servers("127.0.0.2", "127.0.0.50", "ntp.later.invalid"))
        # iburst: four questions, two seconds apart.
        until(lambda: host.time_status().clock.synchronised, seconds=60)
        body = host.time_status().as_dict()
    assert body["daemon"]["name"] == "chrony"
    assert body["daemon"]["running"] is True
    assert body["daemon"]["version"][0].isdigit()
    clock = body["clock"]
    assert (clock["leap"], clock["stratum"]) == ("normal", 9)
    assert abs(clock["offset_seconds"]) < 1
    assert clock["last_update"].endswith("Z")
    chosen, silent, later = body["sources"]
    assert (chosen["value"], chosen["address"], chosen["state"], chosen["stratum"]) == (
        "127.0.0.2",
        "127.0.0.2",
        "selected",
        8,
    )
    assert chosen["reachability"] in {0o7, 0o17, 0o37, 0o77, 0o177, 0o377}
    assert chosen["error_bound_seconds"] > 0
    assert (silent["value"], silent["state"], silent["reachability"]) == ("127.0.0.50", "unreachable", 0)
    assert (later["value"], later["selection"], later["state"], later["address"]) == (
        "ntp.later.invalid",
        "fqdn",
        "unresolved",
        None,
    )


def test_the_sandbox_never_steps_the_clock(host: Host) -> None:
    change(host, [], servers("127.0.0.50"))
    with pytest.raises(HostRefusedError) as caught:
        host.sync()
    assert caught.value.code == "sandbox"


def test_stop_leaves_no_process(host: Host, state: Path) -> None:
    change(host, [], servers("127.0.0.50"))
    pid = pid_of(state)
    host.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert not host.time_status().daemon.running


ORDINARY = """
import os, sys, time
from pathlib import Path
from doorward.host.sandbox import sandbox
from tests.system.chrony_support import listed, servers
from tests.support.server import until
os.environ["PATH"] = "/usr/local/bin:/usr/bin:/bin"
state = Path(sys.argv[1])
host = sandbox(state)
host.start()
host.apply(host.plan([], servers("127.0.0.50")), deadline=time.monotonic() + 30)
print(os.geteuid(), listed(state), flush=True)
host.stop()
"""


def test_an_ordinary_user_can_have_a_sandbox() -> None:
    need_chrony()
    if os.geteuid() != 0:
        # Then every test of this file is this test.
        return
    user = pwd.getpwnam("nobody")
    checkout = Path(__file__).parents[2]
    code = f"import sys; sys.path[:0] = {[str(checkout / 'src'), str(checkout)]!r}\n"
    become = f"import os; os.setgroups([]); os.setgid({user.pw_gid}); os.setuid({user.pw_uid})\n"
    with tempfile.TemporaryDirectory() as place:
        os.chown(place, user.pw_uid, user.pw_gid)
        # Everything is imported as root: the checkout may lie where an ordinary user can't read.
        command = [sys.executable, "-c", code + ORDINARY.replace("os.environ", become + "os.environ"), place]
        result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert f"{user.pw_uid} ['127.0.0.50']\n" in result.stdout, result.stderr
