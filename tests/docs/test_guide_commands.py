"""The commands of the guide do what it says, pasted into a shell beside a fresh server."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.guide import blocks, shell

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
    shown = shell(commands, tmp_path)
    assert re.findall(r"Revision \d+ is in effect\.", shown) == ["Revision 2 is in effect.", "Revision 3 is in effect."]
    assert "horse-battery" not in shown
