"""The commands of the guide on exports do what it says: made by Doorward, opened by gpg and tar alone, restored."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import running

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"


@pytest.fixture
def keys() -> Iterator[Path]:
    """A key ring with a short path, for the sockets of its agent."""
    directory = Path(tempfile.mkdtemp(prefix="doorward-guide-"))
    yield directory
    subprocess.run(["gpgconf", "--homedir", str(directory), "--kill", "all"], check=False)
    shutil.rmtree(directory, ignore_errors=True)


def test_the_section_on_exports_is_true(tmp_path: Path, keys: Path) -> None:
    section = GUIDE.read_text().partition("## Exports and restores")[2].partition("\n## ")[0]
    commands = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOORWARD_", "XDG_"))}
    environment |= {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment["GNUPGHOME"] = str(keys)
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
    assert done.returncode == 0, done.stderr
    found = re.findall(r"Revision \d+ is in effect|Nothing was restored: this was a dry run\.", done.stdout)
    assert found == [
        "Revision 2 is in effect",
        "Revision 3 is in effect",
        "Nothing was restored: this was a dry run.",
        "Revision 4 is in effect",
    ]
    assert "~ datetime/timezone\n  - Asia/Tokyo\n  + Etc/UTC\n" in done.stdout
    assert re.search(r"[0-9a-f]{64}  configuration/tree\.json\n2\n", done.stdout)
    listed = {entry["path"]: entry["sha256"] for entry in json.loads((tmp_path / "site" / "MANIFEST.json").read_bytes())["files"]}
    for name, digest in listed.items():
        assert hashlib.sha256((tmp_path / "site" / name).read_bytes()).hexdigest() == digest
    assert (tmp_path / "site.config-gpg").stat().st_mode & 0o777 == 0o600
