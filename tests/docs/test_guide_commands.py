"""The commands of the guide do what it says, pasted into a shell beside a fresh server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.server import running

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"


def test_the_section_on_the_command_line_is_true(tmp_path: Path) -> None:
    section = GUIDE.read_text().partition("## From the command line")[2].partition("\n## ")[0]
    single, described = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    [site] = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (tmp_path / "site.yaml").write_text(site)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOORWARD_", "XDG_"))}
    environment |= {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    state = tmp_path / ".local" / "state" / "doorward"
    with running(state, environment={"HOME": str(tmp_path), "DOORWARD_ADMIN_PASSWORD": ""}) as server:
        done = subprocess.run(
            ["bash", "-eu", "-c", single + described],
            env={**environment, "DOORWARD_URL": server.url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    found = re.findall(
        r"Revision \d+ is in effect\.|Nothing to change\.|Nothing was committed: this was a dry run\.", done.stdout
    )
    assert found == [
        "Revision 2 is in effect.",
        "Revision 3 is in effect.",
        "Nothing was committed: this was a dry run.",
        "Revision 4 is in effect.",
        "Nothing to change.",
        "Revision 5 is in effect.",
    ]
    assert "~ aaa/local_database/groups/basic-write#members\n  - []\n  + - jane\n" in done.stdout
    assert "only-until-she-changes-it" not in done.stdout
