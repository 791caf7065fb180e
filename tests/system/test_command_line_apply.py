"""`doorward apply` against a real server: idempotent, in one transaction, all problems at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.server import Server
from tests.system.command_line import CommandLine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SITE = """\
configuration:
  management:
    webinterface: {timeout: 15}
  aaa:
    local_database:
      groups:
        operators: {members: [jane, bob]}
        basic-write: {members: [jane]}
      users:
        jane:
          password: {from_env: JANE}
        bob:
          password: {from_file: bob.txt}
    acls:
      - {group: basic-write, objects: [/special/basic], permission: write}
      - {group: operators, objects: [/api/configuration/datetime], permission: read}
  datetime:
    timezone: Europe/Budapest
"""
JANE, BOB = "Corr3ct-horse-battery", "Another-long-passw0rd"


@pytest.fixture
def cli(server: Server, tmp_path: Path) -> Iterator[CommandLine]:
    """A server as after the first start; what a test applied is taken back."""
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "bob.txt").write_text(BOB + "\n")
    found = CommandLine(server, tmp_path)
    yield found
    found.ok("rollback", "1")


def revisions(server: Server) -> int:
    client = server.login()
    found = int(client.get("/api/revisions?limit=1").json()["items"][0]["key"])
    client.delete("/api/authentication")
    return found


def test_a_description_becomes_true_in_one_revision(server: Server, cli: CommandLine) -> None:
    before = revisions(server)
    shown = cli.installed("apply", "site.yaml", "-m", "Site", JANE=JANE).out
    assert f"Revision {before + 1} is in effect." in shown
    assert "+ aaa/local_database/groups/operators" in shown.splitlines()
    assert "  +   - jane" in shown.splitlines(), "members by name"
    assert JANE not in shown
    assert BOB not in shown
    assert cli.ok("get", "datetime/timezone") == "Europe/Budapest\n"
    for user, password in (("jane", JANE), ("bob", BOB)):
        assert cli.ok("get", "datetime/timezone", "--user", user, DOORWARD_PASSWORD=password)
    seen = cli("get", "--user", "jane", DOORWARD_PASSWORD=JANE)
    assert seen.code == 0
    assert "  datetime:\n" in seen.out
    assert "users" not in seen.out
    assert "aaa/local_database/users is left out: This account may not read the resource.\n" in seen.err
    refused = cli("set", "datetime/timezone", "UTC", "--user", "bob", DOORWARD_PASSWORD=BOB)
    assert (refused.code, refused.err) == (1, "/api/transaction: This account may not change the resource.\n")


def test_a_second_run_changes_nothing_and_needs_no_secrets(server: Server, cli: CommandLine) -> None:
    cli.ok("apply", "site.yaml", JANE=JANE)
    before = revisions(server)
    (cli.home / "bob.txt").unlink()
    assert cli.ok("apply", "site.yaml") == "Nothing to change.\n"
    assert cli.ok("diff", "site.yaml") == "Nothing to change.\n"
    assert revisions(server) == before


def test_a_password_is_renewed_on_request(cli: CommandLine) -> None:
    cli.ok("apply", "site.yaml", JANE=JANE)
    (cli.home / "site.yaml").write_text(SITE.replace("from_env: JANE", "from_env: JANE, change: always"))
    cli.ok("apply", "site.yaml", JANE="Quite-an0ther-one")
    assert cli("get", "datetime/timezone", "--user", "jane", DOORWARD_PASSWORD=JANE).code == 3
    assert cli.ok("get", "datetime/timezone", "--user", "jane", DOORWARD_PASSWORD="Quite-an0ther-one")


def test_a_dry_run_and_a_difference_leave_everything_as_it_is(server: Server, cli: CommandLine) -> None:
    before = revisions(server)
    assert "~ datetime/timezone" in cli.ok("apply", "site.yaml", "--dry-run", JANE=JANE).splitlines()
    assert "~ datetime/timezone" in cli.ok("diff", "site.yaml", JANE=JANE).splitlines()
    assert revisions(server) == before
    assert cli("get", "aaa/local_database/users/jane").code == 1


def test_prune_removes_what_is_not_named(cli: CommandLine) -> None:
    cli.ok("apply", "site.yaml", JANE=JANE)
    smaller = SITE.replace("operators: {members: [jane, bob]}", "operators: {members: [jane]}").partition("        bob:")[0]
    (cli.home / "smaller.yaml").write_text(smaller)
    assert "bob" in cli.ok("get", "aaa/local_database/users")
    cli.ok("apply", "smaller.yaml")
    assert "bob:" in cli.ok("get", "aaa/local_database/users")
    shown = cli.ok("apply", "smaller.yaml", "--prune").splitlines()
    assert "- aaa/local_database/users/bob" in shown
    assert [line for line in shown if line.startswith(("+", "~"))] == []
    users = cli.ok("get", "aaa/local_database/users").splitlines()
    assert [line for line in users if not line.startswith(" ")] == ["admin:", "jane:"]
    assert cli.ok("apply", "smaller.yaml", "--prune") == "Nothing to change.\n"


def test_all_problems_are_told_at_once_and_nothing_is_changed(server: Server, cli: CommandLine) -> None:
    before = revisions(server)
    (cli.home / "bad.yaml").write_text("""\
configuration:
  datetime:
    timezone: Mars/Olympus
    clock: atomic
  management:
    webinterface: {timeout: 0, tmeout: 5}
  aaa:
    local_database:
      groups:
        operators: {members: [nobody]}
      users:
        jane: {password: {from_env: NOT_SET}}
        bob: {nickname: b}
""")
    done = cli("apply", "bad.yaml")
    assert (done.code, done.out) == (1, "")
    assert sorted(done.err.splitlines()) == [
        "aaa/local_database/groups/operators /members/0: There is no /api/configuration/aaa/local_database/users/nobody.",
        "aaa/local_database/users/bob /nickname: Not known here.",
        "aaa/local_database/users/jane /password: The environment has no NOT_SET.",
        "datetime/clock: There is no such path.",
        "datetime/timezone: Must be a time zone of this node, such as Europe/Budapest.",
        "management/webinterface /timeout: Must be at least 1.",
        "management/webinterface /tmeout: Not known here.",
    ]
    assert revisions(server) == before


def test_what_only_the_whole_shows_is_told_as_well(server: Server, cli: CommandLine) -> None:
    before = revisions(server)
    (cli.home / "weak.yaml").write_text("configuration: {aaa: {local_database: {users: {eve: {password: {from_env: EVE}}}}}}")
    done = cli("apply", "weak.yaml", EVE="short")
    assert done.code == 1
    assert done.err.startswith("aaa/local_database/users/eve /password: "), done.err
    assert "short" not in done.out + done.err
    assert revisions(server) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("datetime: {}", "must have `configuration:` at the top"),
        ("configuration: {}\nmore: 1", "must have `configuration:` at the top"),
        ("configuration:\n  a: 1\n  a: 2", "Line 3, column 3: 'a' comes twice."),
        ("configuration: [", "Line 1, column "),
    ],
)
def test_files_that_are_no_description(cli: CommandLine, text: str, said: str) -> None:
    (cli.home / "x.yaml").write_text(text)
    done = cli("apply", "x.yaml")
    assert done.code == 2
    assert said in done.err


def test_what_get_prints_can_be_applied(server: Server, cli: CommandLine) -> None:
    cli.ok("apply", "site.yaml", JANE=JANE)
    (cli.home / "all.yaml").write_text(cli.ok("get"))
    before = revisions(server)
    assert cli.ok("apply", "all.yaml", "--prune") == "Nothing to change.\n"
    assert cli.ok("rollback", "1").endswith(f"Revision {before + 1} is in effect.\n")
    only = cli.ok("get", "datetime")
    assert only.startswith("configuration:\n  datetime:\n    ntp_servers:\n")
    (cli.home / "only.yaml").write_text(only)
    assert cli.ok("apply", "only.yaml") == "Nothing to change.\n"
