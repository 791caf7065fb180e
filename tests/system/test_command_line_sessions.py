"""`doorward sessions` against a real server; what sessions sent is escaped wherever it is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.support.recorded import ORACLE, key_of, put_trail, row, shell, tell, trail
from tests.support.server import Server, running
from tests.system.command_line import CommandLine

EVIL = "needle \u202e\u200b end"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("sessions") / "state") as server:
        catalogue = SqliteCatalogue(server.state / "sessions.db")
        tell(catalogue, row(1, trail=put_trail(server.state / "trails", key_of(1), trail(shell(3)))), lines=(EVIL,))
        tell(catalogue, row(2, policy="oracle\x1b[31m", policy_key=ORACLE), end=None)
        catalogue.close()
        yield server


@pytest.fixture
def cli(server: Server, tmp_path: Path) -> CommandLine:
    return CommandLine(server, tmp_path)


def test_sessions_are_listed(cli: CommandLine) -> None:
    head, newest, oldest = cli.ok("sessions", "list").splitlines()
    assert head.split() == ["SESSION", "BEGAN", "TOOK", "USER", "SERVER", "POLICY", "VERDICT"]
    assert newest.startswith(key_of(2))
    assert "runs" in newest
    assert "oracle\\x1b[31m" in newest
    assert "57s" in oldest
    (only,) = json.loads(cli.ok("sessions", "list", "active:false", "AND", "user.name:jane", "--json"))
    assert (only["key"], only["user"]["name"]) == (key_of(1), "jane")
    assert cli.ok("sessions", "list", "user.name:nobody") == "No session.\n"


def test_words_are_found_with_their_moment(cli: CommandLine) -> None:
    found = cli.ok("sessions", "search", "needle")
    assert key_of(1) in found
    assert "\\x202e" in found
    assert all(letter.isprintable() or letter == "\n" for letter in found)
    as_json = cli.ok("sessions", "search", "needle", "--json")
    assert "\u202e" not in as_json
    assert json.loads(as_json)[0]["hits"][0]["content"] == EVIL
    assert cli.ok("sessions", "search", "nowhere") == "Nowhere.\n"


def test_one_session_is_shown_by_key_and_by_id(cli: CommandLine) -> None:
    by_key = cli.ok("sessions", "show", key_of(1), "-o", "json")
    assert by_key == cli.ok("sessions", "show", f"svc/{key_of(1)}/linux:1", "-o", "json")
    told = json.loads(by_key)
    assert [channel["type"] for channel in told["channels"]] == ["session shell"]
    assert told["events"][0]["action"] == "ls"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["list", "nix:1"], 1, "There is no field nix"),
        (["list", "--live", "x"], 2, "--live shows all that run"),
        (["show", "x"], 2, "A session is given by its key"),
        (["show", key_of(9)], 1, "No such resource"),
        (["follow", key_of(1)], 2, "needs a terminal"),
        (["follow", key_of(1), "--json"], 1, "No such resource"),
        (["terminate", key_of(1), "-m", "go"], 1, "No such resource"),
        (["lock", key_of(1)], 1, "No such resource"),
    ],
)
def test_what_can_not_be_done_is_told(cli: CommandLine, arguments: list[str], code: int, words: str) -> None:
    done = cli("sessions", *arguments)
    assert done.code == code
    assert words in done.err + done.out


def test_none_runs(cli: CommandLine) -> None:
    assert cli.ok("sessions", "list", "--live") == "No session runs.\n"
