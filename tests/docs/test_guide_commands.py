"""The commands of the guide do what it says, pasted into a shell beside a fresh server."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.guide import GUIDE, blocks, shell

SAID = r"Revision \d+ is [a-z ]+|Nothing to change\.|Nothing was committed: this was a dry run\.|\d changes? staged"


def test_the_first_commands_do_what_is_said(tmp_path: Path) -> None:
    first, confirmed, staged, _ = blocks("From the command line", "sh")
    shown = shell(first + confirmed + staged, tmp_path)
    assert re.findall(SAID, shown) == [
        "Revision 2 is in effect",
        "Revision 3 is in effect",
        "Revision 4 is in effect",
        "Revision 4 is confirmed and stays",
        "1 change staged",
        "2 changes staged",
        "Nothing was committed: this was a dry run.",
        "Revision 5 is in effect",
    ]
    assert "Awaiting:  revision 4 goes back in " in shown


def test_a_description_does_what_is_said(tmp_path: Path) -> None:
    *_, described = blocks("From the command line", "sh")
    [site] = blocks("From the command line", "yaml")
    (tmp_path / "site.yaml").write_text(site)
    shown = shell(described, tmp_path)
    assert re.findall(SAID, shown) == [
        "Nothing was committed: this was a dry run.",
        "Revision 2 is in effect",
        "Nothing to change.",
        "Nothing to change.",
        "Revision 3 is in effect",
    ]
    assert "~ aaa/local_database/groups/basic-write#members\n  - []\n  + - jane\n" in shown
    assert "only-until-she-changes-it" not in shown


def test_the_section_on_listeners_is_true(tmp_path: Path) -> None:
    [commands] = blocks("Where it listens", "sh")
    shown = shell(commands, tmp_path)
    assert "address: 127.0.0.1" in shown
    assert re.search(r"https_port: \d+\n", shown)


def test_the_section_on_the_network_is_true(tmp_path: Path) -> None:
    [commands] = blocks("Network", "sh")
    shown = shell(commands, tmp_path)
    assert re.findall(r"Revision \d+ is in effect\.", shown) == [f"Revision {number} is in effect." for number in range(2, 7)]
    assert "name: sandbox0" in shown
    assert "  - address: 127.0.0.1\n" in shown
    assert "set address 127.7.7.7/24 on sandbox0 in VLAN 20" in shown
    assert "open cluster at 127.7.7.7:7443" in shown
    assert "remove address 127.7.7.7/24 on sandbox0 in VLAN 20" in shown


def test_the_section_on_accounts_is_true(tmp_path: Path) -> None:
    [commands] = blocks("Accounts", "sh")
    [line] = blocks("Accounts", "json")
    of_the_line = f"doorward add --yes aaa/local_database/groups '{{name: clocks}}'\ndoorward add --yes aaa/acls '{line}'\n"
    shown = shell(commands + of_the_line, tmp_path)
    assert re.findall(r"Revision \d+ is in effect\.", shown) == [f"Revision {number} is in effect." for number in range(2, 6)]
    assert "horse-battery" not in shown


def test_every_command_of_the_guide_is_pasted_by_some_test() -> None:
    having = {title for title in re.findall(r"^## (.*)$", GUIDE.read_text(), re.MULTILINE) if blocks(title, "sh")}
    here = "".join(path.read_text() for path in Path(__file__).parent.glob("test_guide_*.py"))
    assert having == set(re.findall(r'blocks\("([^"]+)", "sh"\)', here))
