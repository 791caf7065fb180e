"""Nothing changes unless somebody agrees; what was not confirmed goes back; several edits are one commit."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.server import Server, until
from tests.system.command_line import PROGRAM, CommandLine

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = "management/webinterface.timeout"
ZONE = "datetime/timezone"


@pytest.fixture
def cli(server: Server, tmp_path: Path) -> CommandLine:
    return CommandLine(server, tmp_path)


def newest(server: Server) -> int:
    client = server.login()
    found = int(client.get("/api/revisions?limit=1").json()["items"][0]["key"])
    client.delete("/api/authentication")
    return found


@pytest.mark.parametrize(
    "words",
    [
        ("set", TIMEOUT, "63"),
        ("add", "datetime/ntp_servers", "{selection: ip, value: 127.0.0.63}"),
        ("remove", "datetime/ntp_servers#0"),
        ("apply", "-"),
        ("cluster", "promote", "--listen", "127.0.0.1"),
    ],
    ids=lambda words: words[0],
)
def test_without_a_terminal_nothing_changes_unless_it_is_said(server: Server, cli: CommandLine, words: tuple[str, ...]) -> None:
    before = newest(server)
    described = "configuration: {management: {webinterface: {timeout: 63}}}"
    done = replace(cli, consents=False).installed(*words, stdin=described)
    assert (done.code, done.err.splitlines()[-1]) == (
        2,
        "Nothing was committed. There is no terminal to ask on: give --yes.",
    ), done
    assert re.search(r"^[~+-] ", done.out, re.MULTILINE), "the plan is shown all the same"
    assert newest(server) == before


def test_a_restore_asks_as_well(server: Server, cli: CommandLine) -> None:
    cli.ok("set", TIMEOUT, "64")
    cli.ok("export", "--protect", "none", "-o", "archive")
    cli.ok("set", TIMEOUT, "65")
    before = newest(server)
    done = replace(cli, consents=False).installed("restore", "archive")
    assert (done.code, "Nothing was restored. There is no terminal" in done.err) == (2, True), done
    assert newest(server) == before


def test_a_terminal_is_asked_though_the_output_goes_elsewhere(cli: CommandLine) -> None:
    with cli.on_terminal("-c", f"{PROGRAM} set {TIMEOUT} 66 < /dev/null > out 2> err", program="/bin/sh") as terminal:
        terminal.awaits("Commit? [y/N]: ")
        assert "  + 66" in (cli.home / "out").read_text().splitlines(), "what the question is about comes first"
        terminal.types("y")
        assert terminal.ended().code == 0
    assert cli.ok("get", TIMEOUT) == "66\n"


def test_nobody_is_asked_where_the_environment_says_so(cli: CommandLine) -> None:
    with cli.on_terminal("set", TIMEOUT, "67", DOORWARD_PROMPT="0") as terminal:
        done = terminal.ended()
    assert (done.code, "There is no terminal to ask on" in done.out) == (2, True)


def test_a_commit_that_is_not_confirmed_goes_back(server: Server, cli: CommandLine) -> None:
    before = cli.ok("get", TIMEOUT)
    shown = cli.ok("set", TIMEOUT, "68", "--confirm", "10m")
    assert "is in effect, and goes back in 10m unless you run `doorward confirm`." in shown
    assert "[awaits confirmation, " in cli.ok("history", "-n", "1")
    server.end_trial()
    until(lambda: cli.ok("get", TIMEOUT) == before, 60, "the way back")
    nothing = cli("confirm")
    assert (nothing.code, nothing.err) == (1, "/api/transaction: No commit of this account awaits a confirmation.\n")
    assert "Awaiting" not in cli.ok("status")


def test_a_commit_that_is_confirmed_stays(server: Server, cli: CommandLine) -> None:
    cli.ok("set", TIMEOUT, "69", "--confirm", "1h")
    number = newest(server)
    status = cli.ok("status").splitlines()
    [line] = [line for line in status if line.startswith("Awaiting:")]
    assert re.fullmatch(rf"Awaiting:  revision {number} goes back in (1h|\d+m)( \d+s)? unless you run `doorward confirm`", line)
    found = json.loads(cli.ok("status", "--json"))
    assert found["awaits_confirmation"]["revision"] == number == found["revision"]["number"]
    assert 0 < found["awaits_confirmation"]["remaining_seconds"] <= 3600
    [row] = json.loads(cli.ok("history", "-n", "1", "-o", "json"))
    assert 0 < row["confirm_remaining_seconds"] <= 3600
    assert cli.ok("trial").startswith(f"Revision {number} goes back in ")
    trial = json.loads(cli.ok("trial", "--json"))
    assert (trial["revision"], [change["path"] for change in trial["changes"]]) == (
        number,
        ["/api/configuration/management/webinterface#timeout"],
    )
    assert cli.ok("confirm") == f"Revision {number} is confirmed and stays.\n"
    assert "confirm_remaining_seconds" not in cli.ok("history", "-n", "1", "-o", "json")
    assert cli.ok("get", TIMEOUT) == "69\n"


def test_one_screen_says_how_the_node_is(server: Server, cli: CommandLine) -> None:
    status = cli.ok("status")
    heads = (
        "Node:",
        "Address:",
        "Key:",
        "Role:      standalone",
        "Revision:",
        "Backup:    none yet",
        "Sessions:  0 running",
        "Health:",
    )
    for head in heads:
        assert f"\n{head}" in f"\n{status}"
    assert json.loads(cli.ok("status", "--json"))["sessions"] == 0
    nothing = cli("trial")
    assert (nothing.code, nothing.out) == (1, "Nothing awaits confirmation.\n")
    assert f"{server.url}, as admin" in status


def test_several_edits_are_one_revision(server: Server, cli: CommandLine) -> None:
    before = newest(server)
    user = {"JANE": "Corr3ct-horse-battery"}
    assert "1 change staged" in cli.ok("stage", "set", TIMEOUT, "71")
    assert "2 changes staged" in cli.ok(
        "add", "aaa/local_database/users", "{name: stagey, password: {from_env: JANE}}", "--stage", **user
    )
    assert "3 changes staged" in cli.ok("stage", "add", "aaa/local_database/groups", "{name: staff, members: [stagey]}", **user)
    assert newest(server) == before
    assert cli.ok("get", TIMEOUT) != "71\n"
    plan = cli("plan", "--exit-code", **user)
    assert (plan.code, "  + 71" in plan.lines, "+ aaa/local_database/groups/staff" in plan.lines) == (2, True, True)
    assert "Staged:    3, not committed" in cli.ok("status")
    [file] = (cli.home / ".local/state/doorward-cli").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"Revision {before + 1} is in effect." in cli.ok("commit", "-m", "All at once", **user)
    assert newest(server) == before + 1
    assert cli.ok("get", "aaa/local_database/groups/staff.members") == "- stagey\n"
    again = cli("commit")
    assert (again.code, "Nothing is staged" in again.err) == (1, True)


def test_what_is_staged_is_checked_and_can_be_forgotten(server: Server, cli: CommandLine) -> None:
    before = newest(server)
    assert cli("stage", "set", TIMEOUT, "0").code == 1
    cli.ok("stage", "set", TIMEOUT, "72")
    secret = cli("stage", "set", "aaa/local_database/users/admin.password", "{plain: not-in-a-file-1}")
    assert (secret.code, "would keep the secret in a file" in secret.err) == (2, True)
    assert "not-in-a-file-1" not in "".join(p.read_text() for p in (cli.home / ".local/state/doorward-cli").iterdir())
    assert cli.ok("discard") == "What was staged is forgotten.\n"
    assert cli.ok("discard") == "Nothing was staged.\n"
    assert newest(server) == before


def test_what_somebody_else_changed_since_is_not_overwritten_by_what_is_staged(cli: CommandLine) -> None:
    cli.ok("set", TIMEOUT, "73")
    cli.ok("stage", "set", TIMEOUT, "74")
    cli.ok("set", TIMEOUT, "75")
    done = cli("commit")
    assert done.code == 1
    assert done.err.splitlines()[0] == "management/webinterface#timeout: somebody else changed it since it was staged."
    assert cli.ok("get", TIMEOUT) == "75\n"
    cli.ok("commit", "--overwrite")
    assert cli.ok("get", TIMEOUT) == "74\n"


def test_an_edit_can_be_staged(cli: CommandLine) -> None:
    (cli.home / "editor").write_text('#!/bin/sh\nsed -i "s/^timeout: .*/timeout: 76/" "$1"\n')
    (cli.home / "editor").chmod(0o700)
    assert "1 change staged" in cli.installed("edit", "management/webinterface", "--stage", EDITOR=str(cli.home / "editor")).out
    assert cli.ok("get", TIMEOUT) != "76\n"
    cli.ok("commit")
    assert cli.ok("get", TIMEOUT) == "76\n"


def test_what_would_change_is_told_by_the_exit_code(cli: CommandLine) -> None:
    cli.ok("set", TIMEOUT, "77")
    (cli.home / "site.yaml").write_text("configuration: {management: {webinterface: {timeout: 78}}}")
    (cli.home / "same.yaml").write_text("configuration: {management: {webinterface: {timeout: 77}}}")
    for words in (("apply", "--dry-run"), ("plan",), ("diff",)):
        command, *more = words
        assert cli(command, "site.yaml", *more).code == 0, words
        assert cli(command, "site.yaml", *more, "--exit-code").code == 2, words
        assert cli(command, "same.yaml", *more, "--exit-code").code == 0, words
    assert cli("diff", "1", "--exit-code").code == 2
    assert cli.ok("get", TIMEOUT) == "77\n"


def test_programs_get_one_document(cli: CommandLine) -> None:
    done = cli("set", TIMEOUT, "79", "--json")
    found = json.loads(done.out)
    assert [change["new_value"] for change in found["changes"]] == [79]
    assert found["revision"] == int(json.loads(cli.ok("history", "-n", "1", "--json"))[0]["number"])
    assert "  + 79" in done.err.splitlines()
    assert json.loads(cli.ok("set", TIMEOUT, "79", "--json")) == {"changes": [], "plan": None, "revision": None}
    assert json.loads(cli.ok("diff", "1", "-o", "json"))["changes"]
    assert json.loads(cli.ok("history", "1", "-o", "json"))["number"] == 1
    assert json.loads(cli.ok("explain", ZONE, "--json"))["title"] == "Time zone"
    assert json.loads(cli.ok("get", "management", "--json"))["webinterface"] == {"timeout": 79}
    assert json.loads(cli.ok("backup", "status", "--json"))["policy"] is None
    assert json.loads(cli.ok("backup", "list", "--json")) == []
    assert json.loads(cli.ok("cluster", "status", "--json"))["status"] == "not in cluster"
    assert cli.ok("history", "1", "-o", "yaml").startswith("address: ")


def test_a_folder_and_the_standard_input_are_applied(cli: CommandLine) -> None:
    (cli.home / "site").mkdir()
    (cli.home / "site" / "a.yaml").write_text("configuration: {management: {webinterface: {timeout: 81}}}")
    (cli.home / "site" / "b.json").write_text('{"configuration": {"datetime": {"timezone": "Asia/Tokyo"}}}')
    cli.ok("apply", "site")
    assert (cli.ok("get", TIMEOUT), cli.ok("get", ZONE)) == ("81\n", "Asia/Tokyo\n")
    cli.ok("apply", "-", stdin="configuration: {datetime: {timezone: Etc/UTC}}")
    assert cli.ok("get", ZONE) == "Etc/UTC\n"
    (cli.home / "site" / "c.yaml").write_text("configuration: {datetime: {timezone: Asia/Seoul}}")
    done = cli("apply", "site")
    assert (done.code, done.err) == (2, "site/c.yaml: another file says otherwise about datetime/timezone.\n")


def test_names_of_objects_are_completed(cli: CommandLine) -> None:
    cli.ok("add", "aaa/local_database/users", "name: carla")
    environment = cli.environment(
        _DOORWARD_COMPLETE="complete_bash", COMP_WORDS="doorward get aaa/local_database/users/ca", COMP_CWORD="2"
    )
    done = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["aaa/local_database/users/carla"], done
