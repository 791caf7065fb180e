"""Two people at two terminals: one proposes, the other looks and accepts; and the way out on the machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.test_approval import SECRET, ApprovalSite
from tests.support.server import Server, running, until
from tests.system.command_line import CommandLine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("proposals") / "state") as server:
        office = ApprovalSite(server)
        for caller in (office.admin, *office.callers.values()):
            caller.close()
        yield server


@pytest.fixture
def terminals(server: Server, tmp_path: Path) -> dict[str, CommandLine]:
    """A terminal for each account."""
    found = {}
    for name in ("ann", "eve", "kim"):
        (tmp_path / name).mkdir()
        found[name] = CommandLine(server, tmp_path / name, {"DOORWARD_USER": name, "DOORWARD_PASSWORD": SECRET})
    return found


def test_from_the_proposal_to_the_revision(terminals: dict[str, CommandLine]) -> None:
    ann, eve = terminals["ann"], terminals["eve"]
    done = ann("set", "datetime/timezone", "Europe/Vienna", "--message", "closer to home")
    assert done.code == 0, done.err
    *_, last = done.out.splitlines()
    assert last.startswith("It waits for security: `doorward proposals show ")
    assert "It takes effect once it was accepted by security." in done.out
    [one] = json.loads(eve("proposals", "list", "--json").out)
    assert "Proposals: 1 waiting; `doorward proposals list` shows them" in eve("status").out
    assert (one["author"], one["state"], one["commit_message"]) == ("ann", "waiting", "closer to home")
    head, row = eve("proposals", "list").out.splitlines()
    assert head.split()[:3] == ["ID", "AUTHOR", "STATE"]
    assert "security (0 of 1)" in row
    shown = eve("proposals", "show", one["id"][:8]).out
    assert "Waits for: security (0 of 1), until " in shown
    assert "  + Europe/Vienna" in shown
    assert "datetime/timezone: link /etc/localtime" in shown
    refused = ann("proposals", "accept", one["id"])
    assert (refused.code, "in none of the groups" in refused.err) == (1, True)
    accepted = eve("proposals", "accept", one["id"], "--reason", "as agreed")
    assert accepted.out.startswith("Revision ")
    assert ann("get", "datetime/timezone").out == "Europe/Vienna\n"
    assert "[accepted by eve] closer to home" in ann("history", "-n", "1").out
    assert "Accepted:  eve" in ann("proposals", "show", one["id"]).out
    assert eve("proposals", "list").out == "Nothing waits.\n"
    assert eve("proposals", "accept", "nothing").err == "There is no proposal nothing.\n"


def test_what_is_not_wanted_ends(terminals: dict[str, CommandLine]) -> None:
    ann, eve = terminals["ann"], terminals["eve"]
    for words in (("reject", eve, "It is rejected.\n"), ("withdraw", ann, "It is withdrawn.\n")):
        verb, who, said = words
        ann("set", "datetime/timezone", "Asia/Tokyo")
        [one] = json.loads(ann("proposals", "list", "--json").out)
        assert who("proposals", verb, one["id"]).out == said
    assert ann("get", "datetime/timezone").out == "Europe/Vienna\n"


def test_descriptions_and_what_was_staged_make_proposals_too(terminals: dict[str, CommandLine], tmp_path: Path) -> None:
    ann = terminals["ann"]
    (tmp_path / "site.yaml").write_text("configuration:\n  datetime:\n    timezone: Asia/Tokyo\n")
    before = json.loads(ann("history", "-n", "1", "--json").out)[0]["number"]
    ann("set", "datetime/timezone", "Asia/Seoul", "--stage")
    ways = [("apply", str(tmp_path / "site.yaml")), ("commit",)]
    for way in ways:
        done = ann(*way, "--yes")
        assert "It waits for security: " in done.out, (way, done.out, done.err)
        [one] = json.loads(ann("proposals", "list", "--json").out)
        assert ann("proposals", "withdraw", one["id"]).out == "It is withdrawn.\n"
    assert json.loads(ann("history", "-n", "1", "--json").out)[0]["number"] == before
    assert "Proposals:" not in ann("status").out


def test_an_emergency_does_not_wait(terminals: dict[str, CommandLine]) -> None:
    change = ("set", "datetime/timezone", "Asia/Tokyo", "--emergency", "--message", "fire")
    refused = terminals["ann"](*change)
    assert (refused.code, "not in the group" in refused.err) == (1, True)
    assert "is in effect." in terminals["kim"](*change).out
    assert "[emergency] fire" in terminals["kim"]("history", "-n", "1").out


def test_the_owner_of_the_machine_switches_it_off(server: Server, terminals: dict[str, CommandLine]) -> None:
    done = terminals["ann"]("reset-approval", "--state", str(server.state))
    assert done.out.startswith("Changes take effect without approval, since revision ")
    until(lambda: "doorwardApprovalReset" in "".join(server.errors), what="the alert")
    assert "is in effect." in terminals["ann"]("set", "datetime/timezone", "Europe/Vienna").out
    again = terminals["ann"]("reset-approval", "--state", str(server.state))
    assert (again.code, again.err) == (1, "Nothing was changed: Approval of changes is not switched on.\n")
