"""`doorward setup`: the first settings of a node, asked on a terminal or read from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.server import Server, running
from tests.system.command_line import CommandLine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "My-0wn-horse-battery"


class Fresh(CommandLine):
    """A user beside a node that nobody has set up."""

    def environment(self, **more: str) -> dict[str, str]:
        given = {"DOORWARD_URL", "DOORWARD_CA", "DOORWARD_PASSWORD"} - more.keys()
        return {name: value for name, value in super().environment(**more).items() if name not in given}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Fresh]:
    state = tmp_path / ".local" / "state" / "doorward"
    waiting = {"HOME": str(tmp_path), "DOORWARD_ADMIN_PASSWORD": ""}
    with running(state, options=("--setup", "wizard"), environment=waiting) as server:
        yield Fresh(server, tmp_path)


def test_what_does_not_fit_is_asked_again(fresh: Fresh) -> None:
    with fresh.on_terminal("setup") as terminal:
        for question, answer in (
            ("Do you accept the licence of Doorward, the Apache License 2.0? [y/N]: ", "y"),
            ("Password of admin: ", "short"),
            ("Once more: ", "another"),
            ("The two are not the same.", None),
            ("Password of admin: ", "short"),
            ("Once more: ", "short"),
            ("Time zone [", "Mars/Olympus"),
            ("Time server (empty: the usual ones): ", ""),
            ("Change name and address of the node?", ""),
            ("Send mail? [y/N]: ", "y"),
            ("Mail server: ", "mail.example.com"),
            ("Who gets mail: ", "admin@example.com"),
            ("Set the node up like this? [y/N]: ", "y"),
            ("The first settings /datetime/timezone: ", None),
            ("Time zone [", "Asia/Tokyo"),
            ("Set the node up like this? [y/N]: ", "y"),
            ("/api/setup /administration/admin_password: ", None),
            ("Password of admin: ", PASSWORD),
            ("Once more: ", PASSWORD),
            ("Set the node up like this? [y/N]: ", "y"),
        ):
            if answer is None:
                terminal.awaits(question)
            else:
                terminal.answers(question, answer)
        done = terminal.ended()
    assert (done.code, "The node is set up" in done.out, PASSWORD in done.out) == (0, True, False), done.out
    assert fresh.ok("get", "datetime/timezone", DOORWARD_PASSWORD=PASSWORD) == "Asia/Tokyo\n"
    assert "admin@example.com" in fresh.ok("get", "management/email", DOORWARD_PASSWORD=PASSWORD)
    again = fresh("setup", "--answers", "-", stdin="{}")
    assert (again.code, "has its first settings already" in again.err) == (1, True)


def test_the_answers_come_from_a_file(fresh: Fresh) -> None:
    (fresh.home / "pw").write_text(f"{PASSWORD}\n")
    (fresh.home / "answers.yaml").write_text(
        "accept_eula: true\nadministration: {admin_password: {from_file: pw}}\ndatetime: {timezone: Asia/Seoul}\n"
    )
    nobody = fresh("setup")
    assert (nobody.code, nobody.err) == (2, "There is no terminal to ask on: give --answers.\n")
    unsaid = fresh("setup", "--answers", "answers.yaml")
    assert (unsaid.code, PASSWORD in unsaid.out, "Asia/Seoul" in unsaid.out) == (2, False, True)
    done = fresh("setup", "--answers", "answers.yaml", "--yes")
    assert done.code == 0, done
    assert fresh.ok("get", "datetime/timezone", DOORWARD_PASSWORD=PASSWORD) == "Asia/Seoul\n"


def test_all_that_is_wrong_with_a_file_is_told(fresh: Fresh) -> None:
    text = "accept_eula: true\nadministration: {}\ndatetime: {timezone: Mars/Olympus}\n"
    done = fresh("setup", "--answers", "-", "--yes", stdin=text)
    assert done.code == 1
    assert sorted(line.partition(": ")[0] for line in done.err.splitlines()) == [
        "The first settings /administration/admin_password", "The first settings /datetime/timezone"
    ]  # fmt: skip


def test_a_node_that_is_set_up_is_left_alone(server: Server, tmp_path: Path) -> None:
    done = CommandLine(server, tmp_path)("setup", "--answers", "-", "--yes", stdin="{}")
    assert (done.code, "has its first settings already" in done.err) == (1, True)
