"""What is written for chronyd, and how its figures are read; no daemon needed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from doorward.host import build
from doorward.host import own_machine as own_module
from doorward.host import sandbox as sandbox_module
from doorward.host.drivers import chronyc
from doorward.host.drivers.chrony import Chrony
from doorward.host.drivers.chrony_clock import ChronyClock
from doorward.host.drivers.chrony_conf import Layout, sandbox_layout, sandbox_text, system_layout, system_text
from doorward.host.engine import ApplyError, HostError, HostRefusedError
from doorward.host.files import DiskFiles, FileEntry
from doorward.host.own_machine import own_machine
from doorward.host.resources import Daemon, File, Symlink
from doorward.host.sandbox import run_directory, sandbox
from doorward.host.system import system
from doorward.host.systemd import Unit
from doorward.host.time_status import NtsStatus, ZoneStatus, clock_status, source_status

NEVER = "4294967295"
SOURCES = "/etc/chrony/sources.d/doorward.sources"


def test_the_system_text() -> None:
    assert system_text().decode().splitlines() == [
        "sourcedir /etc/chrony/sources.d",
        "driftfile /var/lib/chrony/chrony.drift",
        "logdir /var/log/chrony",
        "makestep 1.0 3",
        "maxupdateskew 100.0",
        "rtcsync",
        "port 0",
        *(f"ntstrustedcerts {slot} /etc/chrony/doorward-nts-{slot}.pem" for slot in range(1, 17)),
    ]


def test_the_sandbox_never_touches_the_clock_or_a_well_known_port() -> None:
    assert {"cmdport 0", "port 0", "bindcmdaddress /r/chronyd.sock"} <= set(sandbox_text("/s", "/r").decode().splitlines())
    assert sandbox_layout("/s", "/r", "root", superuser=True).options == ("-x", "-d", "-u", "root")
    assert sandbox_layout("/s", "/r", "joe", superuser=False).options == ("-x", "-d", "-U", "-u", "joe")
    assert not sandbox_layout("/s", "/r", "root", superuser=True).touches_clock


def test_a_system_host_without_the_right_to_set_the_clock_only_watches() -> None:
    assert system_layout(may_set_clock=True).options == ("-d",)
    assert system_layout(may_set_clock=False).options == ("-x", "-d")
    assert own_module._may_set_clock("Name:\tx\nCapEff:\t000001ffffffffff\n")
    assert not own_module._may_set_clock("CapEff:\t00000000a80425fb\n")
    assert not own_module._may_set_clock("")


@pytest.mark.parametrize(
    ("fields", "name", "state", "address"),
    [
        ("^,*,192.0.2.7,3,6,377,12,0.000014,0.00002,0.0031", "pool.example", "selected", "192.0.2.7"),
        ("^,+,192.0.2.7,3,6,377,12,0.000014,0.00002,0.0031", "pool.example", "combined", "192.0.2.7"),
        ("^,-,192.0.2.7,3,6,377,12,0.000014,0.00002,0.0031", "pool.example", "not_combined", "192.0.2.7"),
        ("^,x,2001:db8::7,3,6,377,12,0.000014,0.00002,0.0031", "pool.example", "false_ticker", "2001:db8::7"),
        ("^,~,192.0.2.7,3,6,377,12,0.000014,0.00002,0.0031", "pool.example", "too_variable", "192.0.2.7"),
        ("^,?,192.0.2.7,3,6,377,12,0.000014,0.00002,0.0031", "pool.example", "not_selectable", "192.0.2.7"),
        (f"^,?,192.0.2.7,0,6,0,{NEVER},0.0,0.0,0.0", "192.0.2.7", "unreachable", "192.0.2.7"),
        (f"^,?,ID#0000000001,0,6,0,{NEVER},0.0,0.0,0.0", "pool.example", "unresolved", None),
    ],
)
def test_the_state_of_a_source(fields: str, name: str, state: str, address: str | None) -> None:
    source = source_status(fields.split(","), name, configured=True)
    assert (source.state, source.address, source.value, source.origin) == (state, address, name, "configuration")
    assert source.selection == ("ip" if name == "192.0.2.7" else "fqdn")
    if NEVER in fields:
        assert (source.stratum, source.last_sample_seconds, source.offset_seconds, source.error_bound_seconds) == (None,) * 4
        assert source.poll_seconds == (None if address is None else 64)
    else:
        assert (source.reachability, source.poll_seconds, source.last_sample_seconds) == (255, 64, 12)
        assert (source.offset_seconds, source.error_bound_seconds) == (0.000014, 0.0031)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("192.0.2.7,-,0,0,0,4294967295,0,0,0,0", None),
        ("192.0.2.7,NTS,1,15,256,4,0,0,8,100", NtsStatus(True, 8, 256, 0, 4)),
        ("192.0.2.7,NTS,1,15,256,90,2,1,0,100", NtsStatus(False, 0, 256, 2, 90)),
        (f"192.0.2.7,NTS,0,0,0,{NEVER},3,0,0,0", NtsStatus(False, attempts=3)),
    ],
)
def test_how_a_source_authenticates_itself(keys: str, expected: NtsStatus | None) -> None:
    fields = ["^", "*", "192.0.2.7", "3", "6", "377", "12", "0", "0", "0"]
    source = source_status(fields, "192.0.2.7", configured=True, keys=keys.split(","))
    assert source.nts == expected
    assert ("nts" in source.as_dict()) == (expected is not None)


def test_keys_of_other_sources_are_not_taken_for_those_of_a_source(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="do not fit together"):
        chronyc.figures(answers(sources=told(TRACKING.format(leap="Normal"), ROW).replace("192.0.2.7,-", "192.0.2.8,-")))


TRACKING = "C0000207,192.0.2.7,4,1795292039.5,0.00000165,0.0,0.0,1.0,0.0,0.1,0.0123,0.0031,64.0,{leap}"


@pytest.mark.parametrize(
    ("leap", "said"),
    [("Normal", "normal"), ("Insert second", "insert_second"), ("Delete second", "delete_second")],
)
def test_the_clock(leap: str, said: str) -> None:
    chosen = source_status(["^", "*", "192.0.2.7", "3", "6", "377", "12", "0", "0", "0"], "a.example", configured=True)
    seen = clock_status(TRACKING.format(leap=leap).split(","), (chosen,))
    assert (seen.synchronised, seen.leap, seen.stratum) == (True, said, 4)
    assert seen.last_update == "2026-11-21T20:13:59Z"
    assert (seen.offset_seconds, seen.root_delay_seconds, seen.root_dispersion_seconds) == (-0.00000165, 0.0123, 0.0031)
    assert clock_status(TRACKING.format(leap=leap).split(","), ()).synchronised is False


def test_a_clock_that_is_not_synchronised_shows_no_figures() -> None:
    seen = clock_status(TRACKING.format(leap="Not synchronised").split(","), ())
    assert (seen.synchronised, seen.leap, seen.stratum, seen.offset_seconds) == (False, "unsynchronised", None, None)


class Script:
    """A chronyd that answers what a test lays down."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *arguments: str) -> str:
        self.asked.append(arguments)
        for word, text in self.answers.items():
            if any(word in argument for argument in arguments):
                if text == "fail":
                    raise HostError("chronyd declined")
                return text
        raise HostError("chronyd does not answer")


class Runs:
    """A service that is up."""

    ours = True

    def __init__(self) -> None:
        self.restarts = 0

    def active(self) -> bool:
        return True

    def start(self) -> None:
        pass

    def restart(self) -> None:
        self.restarts += 1

    def stop(self) -> None:
        pass


def driver(root: Path, ask: chronyc.AskChronyd, *, program: str | None = "/bin/true", options: tuple[str, ...] = ()) -> Chrony:
    layout = Layout("/etc/chrony/chrony.conf", b"port 0\n", str(root / "socket"), "", options, keep_old=True)
    return Chrony(layout, DiskFiles(root), Runs(), program=program, ask=ask)


def clock(
    root: Path, ask: chronyc.AskChronyd, *, program: str | None = "/bin/true", options: tuple[str, ...] = ()
) -> ChronyClock:
    chrony = driver(root, ask, program=program, options=options)
    return ChronyClock(chrony, DiskFiles(root), ask, lambda: ZoneStatus("Etc/UTC", "UTC", 0))


ROW = "^,*,192.0.2.7,3,6,377,1,0,0,0"


def told(tracking: str, *rows: str) -> str:
    """The figures of the clock and of sources, none of which has keys."""
    keys = [f"{row.split(',')[2]},-,0,0,0,{NEVER},0,0,0,0" for row in rows]
    return "\n".join([tracking, *rows, *keys]) + "\n"


def answers(**changes: str) -> Script:
    plain = {
        "burst": "200 OK\n",
        "activity": "1,0,0,0,0\n",
        "sources": told(TRACKING.format(leap="Normal"), ROW),
        "sourcename": "a.example\n",
        "makestep": "200 OK\n",
        "tracking": TRACKING.format(leap="Normal"),
    }
    return Script(**{**plain, **changes})


def test_sync_measures_and_steps(tmp_path: Path) -> None:
    ask = answers()
    result = clock(tmp_path, ask).sync()
    assert result.stepped_seconds == 0.00000165
    assert result.status.clock.synchronised
    words = [arguments[-1] if "-c" in arguments else arguments[0] for arguments in ask.asked]
    assert words.index("burst") < words.index("activity") < words.index("makestep")


@pytest.mark.parametrize(
    ("options", "program", "changes", "code"),
    [
        (("-x",), "/bin/true", {}, "sandbox"),
        ((), None, {}, "daemon_absent"),
        ((), "/bin/true", {"tracking": "fail"}, "daemon_absent"),
        ((), "/bin/true", {"burst": "fail"}, "no_reachable_source"),
        (
            (),
            "/bin/true",
            {"sources": told(TRACKING.format(leap="Not synchronised"), f"^,?,192.0.2.7,0,6,0,{NEVER},0,0,0")},
            "no_reachable_source",
        ),
    ],
)
def test_sync_declines(tmp_path: Path, options: tuple[str, ...], program: str | None, changes: dict[str, str], code: str) -> None:
    ask = answers(**changes)
    with pytest.raises(HostRefusedError) as caught:
        clock(tmp_path, ask, program=program, options=options).sync()
    assert caught.value.code == code
    assert not any("makestep" in arguments for arguments in ask.asked)


def test_status_is_at_most_a_second_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = answers()
    chrony = clock(tmp_path, ask)
    first = chrony.status()
    asked = len(ask.asked)
    assert chrony.status() is first
    assert len(ask.asked) == asked
    monkeypatch.setattr("doorward.host.drivers.chrony_clock._FRESH_SECONDS", -1.0)
    assert chrony.status() is not first


def test_sources_come_in_configured_order_and_pools_by_address(tmp_path: Path) -> None:
    disk = DiskFiles(tmp_path)
    disk.write(SOURCES, FileEntry(b"pool B.example iburst maxsources 4\nserver 192.0.2.7 iburst\npool c.example iburst\n"))
    rows = [
        "^,?,192.0.2.99,2,6,377,1,0,0,0",
        "^,*,192.0.2.7,2,6,377,1,0,0,0",
        "^,+,192.0.2.8,2,6,377,1,0,0,0",
        f"^,?,ID#0000000001,0,6,0,{NEVER},0,0,0",
        f"^,?,ID#0000000002,0,6,0,{NEVER},0,0,0",
        f"^,?,ID#0000000003,0,6,0,{NEVER},0,0,0",
        "^,?,192.0.2.100,2,6,377,1,0,0,0",
    ]
    names = ["other.example", "192.0.2.7", "b.example", "b.example", "c.example", "c.example", "503 No such source"]
    ask = answers(sources=told(TRACKING.format(leap="Normal"), *rows), sourcename="\n".join(names) + "\n")
    status = clock(tmp_path, ask).status()
    assert [(one.value, one.address, one.state, one.origin) for one in status.sources] == [
        ("B.example", "192.0.2.8", "combined", "configuration"),
        ("192.0.2.7", "192.0.2.7", "selected", "configuration"),
        ("c.example", None, "unresolved", "configuration"),
        ("other.example", "192.0.2.99", "not_selectable", "foreign"),
    ]
    broken = clock(tmp_path, answers(sources=told(TRACKING.format(leap="Normal"), ROW), sourcename="a\nb\n"))
    assert broken.status().daemon.running is False


def test_the_old_configuration_is_kept_once(tmp_path: Path) -> None:
    conf = tmp_path / "etc/chrony/chrony.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("pool 2.debian.pool.ntp.org iburst\n")
    (tmp_path / "socket").touch()
    chrony = driver(tmp_path, answers())
    chrony.prepare()
    kept = tmp_path / "etc/chrony/chrony.conf.before-doorward"
    assert (conf.read_bytes(), kept.read_text()) == (b"port 0\n", "pool 2.debian.pool.ntp.org iburst\n")
    conf.write_text("someone else's\n")
    (warning,) = chrony.drift(Daemon("chronyd", origin="o"))
    assert (warning.code, warning.origin) == ("configuration_drift", "o")
    chrony.prepare()
    assert (conf.read_bytes(), kept.read_text()) == (b"port 0\n", "pool 2.debian.pool.ntp.org iburst\n")
    assert sorted(place.name for place in conf.parent.iterdir()) == ["chrony.conf", "chrony.conf.before-doorward"]
    conf.unlink()
    assert "missing" in chrony.drift(Daemon("chronyd"))[0].message


def test_a_daemon_that_ran_with_another_configuration_is_restarted(tmp_path: Path) -> None:
    (tmp_path / "socket").touch()
    chrony = driver(tmp_path, answers())
    chrony.prepare()
    chrony.prepare()
    assert chrony._service.restarts == 1  # type: ignore[attr-defined]


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_configuration_that_chronyd_refuses_is_not_put_in_place(tmp_path: Path) -> None:
    refusing = script(tmp_path / "chronyd", "echo Could not parse directive >&2; exit 1")
    with pytest.raises(HostError, match="refuses the configuration"):
        driver(tmp_path / "root", Script(), program=refusing).prepare()
    assert list((tmp_path / "root/etc/chrony").iterdir()) == []


def test_a_confined_chronyd_counts_as_absent_and_says_why(tmp_path: Path) -> None:
    confined = script(tmp_path / "chronyd", "echo Fatal error : Could not open /x : Permission denied >&2; exit 1")
    chrony = driver(tmp_path / "root", Script(), program=confined)
    chrony.prepare()
    assert "AppArmor" in (chrony.absence() or "")
    assert not chrony.running()


def test_foreign_sources_are_reported(tmp_path: Path) -> None:
    (tmp_path / "socket").touch()
    chrony = driver(tmp_path, answers())
    chrony.prepare()
    folder = tmp_path / "etc/chrony/sources.d"
    folder.mkdir()
    for name in ("README", "doorward.sources", "dhcp.sources"):
        (folder / name).write_text("")
    (warning,) = chrony.drift(Daemon("chronyd"))
    assert (warning.code, "dhcp.sources" in warning.message) == ("foreign_source", True)


def test_answers_that_cannot_be_read() -> None:
    with pytest.raises(HostError, match="cannot be read"):
        chronyc.listed(Script(sources="501 Not authorised\n"))
    with pytest.raises(HostError, match="about the clock"):
        chronyc.tracking(Script(tracking=""))
    with pytest.raises(HostError, match="does not answer"):
        chronyc.Chronyc("/nonexistent/chronyc", "/nonexistent/socket")("tracking")
    with pytest.raises(HostError, match="declined"):
        chronyc.Chronyc("/bin/false", "/nonexistent/socket")("tracking")


def test_where_sockets_lie(tmp_path: Path) -> None:
    assert run_directory(Path("/var/lib/doorward")) == Path("/var/lib/doorward/run")
    long = Path("/" + "x" * 100)
    assert run_directory(long).name.startswith(f"doorward-{os.geteuid()}-")
    assert run_directory(long) == run_directory(long) != run_directory(Path("/" + "y" * 100))
    assert run_directory(Path("/my state")).parent == Path("/tmp")
    for length in range(60, 107):
        run = run_directory(Path("/" + "x" * length))
        assert len(f"{run}/chronyc.4194304.sock") <= 107


def test_a_run_directory_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError):
        sandbox_module._make_private(tmp_path / "run")
    (tmp_path / "open").mkdir(mode=0o777)
    sandbox_module._make_private(tmp_path / "open")
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o700


def test_the_system_host_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="by root alone"):
        own_machine()
    monkeypatch.setenv("DOORWARD_HELPER", str(tmp_path / "nobody"))
    with pytest.raises(HostError, match=r"does not answer at .*nobody: No such file"):
        system(tmp_path).start()


@pytest.mark.parametrize("systemd", [True, False])
def test_the_system_host_is_made_without_touching_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, systemd: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(own_module, "booted", lambda: systemd)
    for host in (own_machine(), system(tmp_path)):
        assert (host.name, host.root) == ("system", Path("/"))
        host.stop()
    assert own_module._is_chronyd(["/usr/sbin/chronyd", "-F", "1"])
    assert not own_module._is_chronyd(["/bin/sh"])


def test_systemd_verbs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    unit = Unit("chrony", script(tmp_path / "systemctl", f'echo "$@" >> {log}; test "$1" != is-active'))
    unit.start()
    unit.restart()
    assert not unit.active()
    assert log.read_text().splitlines() == [
        "start chrony",
        "reset-failed chrony",
        "restart chrony",
        "is-active --quiet chrony",
    ]
    with pytest.raises(HostError, match="could not start the service chrony"):
        Unit("chrony", "/bin/false").start()
    with pytest.raises(HostError, match="no answer"):
        Unit("chrony", "/nonexistent/systemctl").active()


def test_a_sandbox_without_tzdata_says_so(tmp_path: Path, soon: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "find_program", lambda _: None)
    host = sandbox(tmp_path)
    host.start()
    with pytest.raises(ApplyError, match="has no Mars/Base; install the package tzdata") as caught:
        host.apply(host.plan([], [File("/a", b""), Symlink("/etc/localtime", "/usr/share/zoneinfo/Mars/Base")]), deadline=soon)
    assert (caught.value.action, caught.value.restored) == ("link /etc/localtime", True)
    assert not (tmp_path / "root/a").exists()
    host.stop()
