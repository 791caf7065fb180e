"""The commands of the guide do what it says, pasted into a shell beside a fresh server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.server import running

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"


def section(title: str) -> str:
    return GUIDE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]


def shell(commands: str, tmp_path: Path, said: str = "") -> str:
    """Run commands beside a fresh server and return what they print; ``said`` is what they have to say on standard error."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOORWARD_", "XDG_"))}
    environment |= {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    state = tmp_path / ".local" / "state" / "doorward"
    with running(state, environment={"HOME": str(tmp_path), "DOORWARD_ADMIN_PASSWORD": ""}) as server:
        done = subprocess.run(
            ["bash", "-eu", "-c", commands],
            env={**environment, "DOORWARD_URL": server.url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, said), done.stdout
    return done.stdout


def test_the_section_on_the_command_line_is_true(tmp_path: Path) -> None:
    single, described = re.findall(r"```sh\n(.*?)```", section("From the command line"), re.DOTALL)
    [site] = re.findall(r"```yaml\n(.*?)```", section("From the command line"), re.DOTALL)
    (tmp_path / "site.yaml").write_text(site)
    shown = shell(single + described, tmp_path)
    found = re.findall(r"Revision \d+ is in effect\.|Nothing to change\.|Nothing was committed: this was a dry run\.", shown)
    assert found == [
        "Revision 2 is in effect.",
        "Revision 3 is in effect.",
        "Nothing was committed: this was a dry run.",
        "Revision 4 is in effect.",
        "Nothing to change.",
        "Revision 5 is in effect.",
    ]
    assert "~ aaa/local_database/groups/basic-write#members\n  - []\n  + - jane\n" in shown
    assert "only-until-she-changes-it" not in shown


def test_the_section_on_the_network_is_true(tmp_path: Path) -> None:
    [commands] = re.findall(r"```sh\n(.*?)```", section("Network"), re.DOTALL)
    shown = shell(commands, tmp_path)
    assert re.findall(r"Revision \d+ is in effect\.", shown) == [f"Revision {number} is in effect." for number in range(2, 7)]
    assert "name: sandbox0" in shown
    assert "  - address: 127.0.0.1\n" in shown
    assert "set address 127.7.7.7/24 on sandbox0 in VLAN 20" in shown
    assert "open cluster at 127.7.7.7:7443" in shown
    assert "remove address 127.7.7.7/24 on sandbox0 in VLAN 20" in shown
