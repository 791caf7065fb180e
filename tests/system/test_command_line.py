"""`doorward get`, `set`, `add`, `remove`, `history`, `diff`, `rollback` against a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import httpx2
import pytest

from doorward.cli.identity import trusting
from doorward.client.blocking import Client
from doorward.client.errors import UnknownOutcomeError
from tests.support.server import PASSWORD, Server, running, until
from tests.support.waiting import PATIENCE
from tests.system.command_line import PROGRAM, CommandLine

if TYPE_CHECKING:
    from pathlib import Path

NTP = "/api/configuration/datetime/ntp_servers"
TIMEOUT = "management/webinterface.timeout"


@pytest.fixture
def cli(server: Server, tmp_path: Path) -> CommandLine:
    return CommandLine(server, tmp_path)


def revision(server: Server) -> int:
    client = server.login()
    found = int(client.get("/api/revisions?limit=1").json()["items"][0]["key"])
    client.delete("/api/authentication")
    return found


def sources(server: Server) -> str:
    return (server.state / "root/etc/chrony/sources.d/doorward.sources").read_text()


def test_a_setting_is_read_and_changed(server: Server, cli: CommandLine) -> None:
    before = revision(server)
    assert cli.ok("get", "management/webinterface") == "timeout: 10\n"
    done = cli.installed("set", TIMEOUT, "25", "-m", "More time")
    assert done.code == 0, done
    assert done.lines == [
        "~ management/webinterface#timeout",
        "  - 10",
        "  + 25",
        "Nothing changes on the host.",
        f"Revision {before + 1} is in effect.",
    ]
    assert cli.ok("get", TIMEOUT) == "25\n"
    body = server.login().body(f"/api/revisions/{before + 1}")
    assert (body["commit_message"], body["author"]) == ("More time", "admin")


def test_a_value_that_is_there_already_makes_no_revision(server: Server, cli: CommandLine) -> None:
    before = revision(server)
    same = cli.ok("get", "datetime/timezone").strip()
    assert cli.ok("set", "datetime/timezone", same) == "Nothing to change.\n"
    assert revision(server) == before


def test_the_effect_is_on_the_host_when_the_command_ends(server: Server, cli: CommandLine) -> None:
    shown = cli.ok("add", "datetime/ntp_servers", "{selection: ip, value: 127.0.0.77}")
    assert "  datetime/ntp_servers: reload chronyd (reload)" in shown.splitlines()
    assert "Warning: datetime/ntp_servers /1/value: 127.0.0.77 did not answer" in shown
    assert "server 127.0.0.77 iburst\n" in sources(server)
    cli.ok("set", "datetime/ntp_servers#1/value", "127.0.0.78")
    assert "server 127.0.0.78 iburst\n" in sources(server)
    cli.ok("remove", "datetime/ntp_servers#1")
    assert "127.0.0.7" not in sources(server)


def test_values_come_from_files_and_pipes(cli: CommandLine) -> None:
    (cli.home / "zone.json").write_text('"Europe/Budapest"')
    assert "+ Europe/Budapest" in cli.ok("set", "datetime/timezone", "@zone.json")
    assert "+ Europe/Paris" in cli.ok("set", "datetime/timezone", "-", stdin="Europe/Paris\n")
    assert cli.ok("get", "datetime/timezone") == "Europe/Paris\n"


def test_every_fault_of_a_value_is_told_with_its_place(server: Server, cli: CommandLine) -> None:
    before = revision(server)
    value = "[{selection: name, value: x}, {selection: ip}, {selection: ip, value: 127.0.0.1, x: 1}]"
    done = cli.installed("set", "datetime/ntp_servers", value)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        "datetime/ntp_servers /0/selection: Must be fqdn or ip.",
        "datetime/ntp_servers /1/value: Required.",
        "datetime/ntp_servers /2/x: Not known here.",
    ]
    assert revision(server) == before


def test_a_dry_run_shows_and_discards(server: Server, cli: CommandLine) -> None:
    before = revision(server)
    shown = cli.ok("set", TIMEOUT, "77", "--dry-run")
    assert "  + 77" in shown.splitlines()
    assert shown.endswith("Nothing was committed: this was a dry run.\n")
    assert revision(server) == before
    assert cli.ok("get", TIMEOUT) != "77\n"


def test_objects_are_made_named_and_removed(cli: CommandLine) -> None:
    shown = cli.ok("add", "aaa/local_database/users", "name: cleo.b")
    assert shown.splitlines()[0].startswith("Key: ")
    cli.ok("add", "aaa/local_database/groups", "{name: makers, members: [cleo.b]}")
    assert cli.ok("get", "aaa/local_database/groups/makers") == "members:\n  - cleo.b\nname: makers\n"
    assert cli.ok("add", "aaa/local_database/groups/makers#members", "admin").splitlines()[1:3] == ["    - cleo.b", "  + - admin"]
    raw = json.loads(cli.ok("get", "aaa/local_database/groups/makers", "--json"))
    assert [member["meta"]["href"].rpartition("/")[2] for member in raw["members"]][1] == "-1"
    assert "- aaa/local_database/users/cleo.b" in cli.ok("remove", "aaa/local_database/users/cleo.b").splitlines()
    assert cli.ok("get", "aaa/local_database/groups/makers.members") == "- admin\n"
    refused = cli("remove", "aaa/local_database/users/admin")
    assert (refused.code, refused.err) == (1, "aaa/local_database/users/-1: A built-in object can't be deleted.\n")


def test_what_can_not_be_done_to_a_path_is_a_mistake_of_usage(cli: CommandLine) -> None:
    for arguments in (
        ("set", "datetime", "{}"),
        ("set", "aaa/local_database/users", "{}"),
        ("set", "passwords", "x"),
        ("add", "datetime/timezone", "UTC"),
        ("remove", "datetime/timezone"),
        ("edit", "datetime"),
        ("get", "datetime/tinezone"),
        ("get", "passwords"),
        ("set", "local_services/cluster", "{enabled: true, listen_address: 127.0.0.77}"),
    ):
        done = cli(*arguments)
        assert (done.code, done.out) == (2, ""), arguments
        assert len(done.err.splitlines()) == 1, done.err


def test_a_member_that_can_not_be_written_is_named(cli: CommandLine) -> None:
    assert cli.ok("set", "network/nics/nic2.name", "eth9").splitlines() == [
        "Warning: network/nics/nic2 /name: It stays as it is: the member is read-only, or the value means the same.",
        "Nothing to change.",
    ]
    assert cli.ok("set", "network/nics/nic2.name", "null") == "Nothing to change.\n"


def test_history_differences_and_the_way_back(server: Server, cli: CommandLine) -> None:
    cli.ok("set", TIMEOUT, "31", "-m", "first\x1b[2J")
    start = revision(server)
    cli.ok("set", TIMEOUT, "32", "-m", "second")
    cli.ok("add", "aaa/local_database/users", "name: dora")
    listed = cli.ok("history", "-n", "3").splitlines()
    assert [line.split()[0] for line in listed] == ["REVISION", str(start + 2), str(start + 1), str(start)]
    assert listed[2].endswith("second")
    assert listed[3].endswith("first\\x1b[2J")
    assert cli.ok("history", str(start + 1)).splitlines()[2:] == ["~ management/webinterface#timeout", "  - 31", "  + 32"]
    cli.ok("set", TIMEOUT, "33")
    forward = ["+ aaa/local_database/users/dora", "  + name: dora", "  + password: null", "~ management/webinterface#timeout"]
    assert cli.ok("diff", str(start)).splitlines() == [*forward, "  - 31", "  + 33"]
    assert cli.ok("diff", str(start), str(start + 2)).splitlines() == [*forward, "  - 31", "  + 32"]
    backward = ["- aaa/local_database/users/dora", "  - name: dora", "  - password: null", "~ management/webinterface#timeout"]
    assert cli.ok("diff", str(start + 2), str(start)).splitlines() == [*backward, "  - 32", "  + 31"]
    assert cli.ok("diff", str(start), str(start)) == "No difference.\n"
    assert f"Revision {start + 4} is in effect." in cli.ok("rollback", str(start), "-m", "Back")
    assert cli.ok("diff", str(start)) == "No difference.\n"
    assert cli.ok("rollback", str(start)) == "Nothing to change.\n"
    changed = [line.split()[0] for line in cli.ok("history", "management/webinterface", "-n", "4").splitlines()[1:]]
    assert changed == [str(start + n) for n in (4, 3, 1, 0)]
    head, row = cli.ok("blame", TIMEOUT).splitlines()
    assert head.split() == ["SETTING", "REVISION", "TIME", "AUTHOR", "VALUE"]
    assert (row.split()[:2], row.split()[-2:]) == (["timeout", str(start + 4)], ["admin", "31"])
    cli.ok("set", TIMEOUT, "34")
    cli.ok("set", "datetime/timezone", "Asia/Tokyo")
    assert "timezone" not in cli.ok("rollback", str(start + 4), "--path", "management", "--dry-run")
    assert f"Revision {start + 7} is in effect." in cli.ok("rollback", str(start + 4), "--path", TIMEOUT)
    assert cli.ok("get", "datetime/timezone").strip() == "Asia/Tokyo"
    cli.ok("rollback", str(start))
    assert cli("rollback", "999999").code == cli("diff", "1", "999999").code == cli("history", "999999").code == 1


def test_what_somebody_changed_on_the_host_is_shown_and_taken_over(server: Server, cli: CommandLine) -> None:
    until(lambda: cli.ok("drift") == "The host is as configured.\n")
    link = server.state / "root/etc/localtime"
    link.unlink()
    link.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    until(lambda: cli("drift", "--exit-code").code == 2)
    shown = cli.ok("drift")
    assert shown.startswith("datetime/timezone: /etc/localtime was changed by someone else (since ")
    assert "  a link to /usr/share/zoneinfo/Asia/Tokyo\n" in shown
    assert "is in effect." in cli.ok("adopt")
    assert cli.ok("get", "datetime/timezone").strip() == "Asia/Tokyo"
    until(lambda: cli.ok("drift") == "The host is as configured.\n")


def test_a_message_that_is_required(cli: CommandLine) -> None:
    cli.ok("set", "management/accounting.require_commitlog", "true")
    try:
        refused = cli("set", TIMEOUT, "41")
        assert (refused.code, refused.err) == (1, "/api/transaction /commit_message: A commit message is required.\n")
        cli.ok("set", TIMEOUT, "41", "-m", "Because")
    finally:
        cli.ok("set", "management/accounting.require_commitlog", "false", "-m", "Enough")


def test_no_login_session_is_left_behind(server: Server, cli: CommandLine) -> None:
    client = server.login()

    def sessions() -> int:
        return int(client.get("/api/health_status").json()["health_status"]["sessions"]["http"])

    before = sessions()
    cli.ok("get", "datetime/timezone")
    cli.ok("set", TIMEOUT, "51", "--dry-run")
    cli("set", TIMEOUT, "wrong")
    cli("get", "aaa/local_database/users/nobody")
    assert sessions() == before


def test_why_there_is_no_connection(server: Server, cli: CommandLine) -> None:
    other = cli.home / "other.pem"
    shutil.copy(server.certificate, other)
    for variables, said in (
        ({"DOORWARD_PASSWORD": "wrong"}, "admin can't log in at"),
        ({"DOORWARD_URL": "https://127.0.0.1:1"}, "does not answer: "),
        ({"DOORWARD_CA": "/etc/ssl/certs/ca-certificates.crt"}, "its certificate is not trusted"),
        ({"DOORWARD_URL": server.url.replace("127.0.0.1", "127.0.0.2")}, "does not answer: "),
    ):
        done = cli("get", **variables)
        assert (done.code, done.out) == (3, ""), variables
        assert said in done.err
        assert PASSWORD not in done.err


def test_the_first_steps_on_this_machine_need_no_options(tmp_path: Path) -> None:
    state = tmp_path / ".local" / "state" / "doorward"
    with running(state, environment={"HOME": str(tmp_path), "DOORWARD_ADMIN_PASSWORD": ""}) as server:
        cli = CommandLine(server, tmp_path)
        environment = cli.environment()
        for name in ("DOORWARD_CA", "DOORWARD_PASSWORD"):
            environment.pop(name)
        cli.environment = lambda **more: {**environment, **more}  # type: ignore[method-assign]
        assert cli.installed("get", TIMEOUT).out == "10\n"
        first = state / "initial-admin-password"
        first.write_text("an older one\n")
        stale = cli("get", TIMEOUT)
        assert stale.code == 3
        assert f"The password tried is that of the first start, in {first}; " in stale.err
        nobody = cli("get", TIMEOUT, "--user", "jane")
        assert (nobody.code, nobody.err) == (3, "No password for jane: set DOORWARD_PASSWORD or give --password-file.\n")


def test_what_a_locale_can_not_show_is_shown_by_its_number(cli: CommandLine) -> None:
    shown = cli.installed("set", "network/naming.nickname", "Größe", "--dry-run", PYTHONIOENCODING="ascii")
    assert (shown.code, shown.out.splitlines()[2]) == (0, "  + Gr\\xf6\\xdfe")


def test_a_message_that_is_no_text_is_refused(cli: CommandLine) -> None:
    done = cli.installed("set", TIMEOUT, "47", "-m", "\udcff")
    assert (done.code, done.err) == (2, "What was given is no text in UTF-8.\n")


def test_an_output_that_is_full_is_said(cli: CommandLine) -> None:
    for command in ("get datetime", "history", "reference"):
        full = f"exec {PROGRAM} {command} > /dev/full"
        done = subprocess.run(
            ["sh", "-c", full], env=cli.environment(), stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
        )
        assert (done.returncode, done.stderr) == (1, "The output can't be written: No space left on device.\n"), command


class Losing(httpx2.BaseTransport):
    """A connection that loses the answers to commits, so many times."""

    def __init__(self, inner: httpx2.BaseTransport, times: int) -> None:
        self.inner, self.times = inner, times

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self.inner.handle_request(request)
        if self.times and request.method == "PUT" and request.url.path == "/api/transaction":
            self.times -= 1
            answer.read()
            answer.close()
            raise httpx2.ReadError("gone", request=request)
        return answer

    def close(self) -> None:
        self.inner.close()


def test_a_lost_answer_to_a_commit_is_asked_for_again(server: Server) -> None:
    before = revision(server)
    context = trusting(server.certificate, None)
    for times, timeout in ((1, 61), (99, 62)):
        with Client(server.url, context, patience=1) as client:
            client.login("admin", PASSWORD)
            client.open()
            client.write("PUT", "/api/configuration/management/webinterface", {"timeout": timeout})
            client._http._transport = Losing(client._http._transport, times)
            if times == 1:
                assert client.commit("once").revision == before + 1
            else:
                with pytest.raises(UnknownOutcomeError, match="got lost"):
                    client.commit("twice")
    assert revision(server) == before + 2
