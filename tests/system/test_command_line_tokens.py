"""``doorward tokens``, commands that bring a token, and the own password of an account without rights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.server import PASSWORD, Server
from tests.system.command_line import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = "management/webinterface.timeout"


def test_a_token_stands_for_account_and_password(server: Server, tmp_path: Path) -> None:
    cli = CommandLine(server, tmp_path)
    made = cli("tokens", "create", "pipeline", "--rights", "own", "--days", "3")
    token, bearer = (
        made.out.strip(),
        CommandLine(server, tmp_path, {"DOORWARD_PASSWORD": "wrong", "DOORWARD_TOKEN": made.out.strip()}),
    )
    assert (made.code, token[:3], token in made.err) == (0, "dw_", False)
    assert bearer.ok("set", TIMEOUT, "88")
    assert bearer.ok("get", TIMEOUT) == "88\n"
    assert f"{server.url}, as admin" in bearer.ok("status")
    refused = bearer("tokens", "list")
    assert (refused.code, "takes a login" in refused.err) == (2, True)
    [listed] = json.loads(cli.ok("tokens", "list", "--json"))
    assert (listed["name"], listed["rights"], listed["paths"], token in json.dumps(listed)) == ("pipeline", "own", [], False)
    assert "pipeline" in cli.ok("tokens", "list", "--of", "admin")
    cli.ok("tokens", "delete", listed["id"])
    ended = bearer("get", TIMEOUT)
    assert (ended.code, "does not accept the token in DOORWARD_TOKEN" in ended.err) == (3, True)
    assert cli.ok("tokens", "list", "--all") == "There are no tokens.\n"
    nothing = cli("tokens", "delete", listed["id"])
    assert nothing.code == 1
    bad = cli("get", TIMEOUT, DOORWARD_TOKEN="not-a-token")
    assert (bad.code, "holds no token" in bad.err) == (2, True)


def test_a_token_that_is_limited_reads_what_it_reaches(server: Server, tmp_path: Path) -> None:
    cli = CommandLine(server, tmp_path)
    limits = ("--path", "/api/configuration/management", "--network", "127.0.0.1")
    token = cli.ok("tokens", "create", "reader", *limits).strip()
    bearer = CommandLine(server, tmp_path, {"DOORWARD_TOKEN": token})
    assert int(bearer.ok("get", TIMEOUT)) > 0
    assert bearer("get", "datetime/timezone").code == 1
    assert bearer("set", TIMEOUT, "89").code == 1


def test_an_account_without_rights_changes_its_own_password(server: Server, tmp_path: Path) -> None:
    admin = CommandLine(server, tmp_path)
    admin.ok("add", "aaa/local_database/users", "{name: joan, password: {from_env: FIRST}}", FIRST="The-f1rst-horse-battery")
    joan = {"DOORWARD_USER": "joan", "DOORWARD_PASSWORD": "The-f1rst-horse-battery"}
    done = admin("passwd", "--new-password-file", "-", stdin="The-sec0nd-horse-battery\n", **joan)
    assert (done.code, "Your password is a new one" in done.out) == (0, True), done
    assert admin("status", **joan).code == 3
    assert admin("status", **joan | {"DOORWARD_PASSWORD": "The-sec0nd-horse-battery"}).code == 0
    assert admin("status", DOORWARD_PASSWORD=PASSWORD).code == 0
