"""The commands of the guide on exports do what it says: made by Doorward, opened by gpg and tar alone, restored."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.guide import blocks, shell


@pytest.fixture
def keys() -> Iterator[Path]:
    """A key ring with a short path, for the sockets of its agent."""
    directory = Path(tempfile.mkdtemp(prefix="doorward-guide-"))
    yield directory
    subprocess.run(["gpgconf", "--homedir", str(directory), "--kill", "all"], check=False)
    shutil.rmtree(directory, ignore_errors=True)


def test_the_section_on_exports_is_true(tmp_path: Path, keys: Path) -> None:
    shown = shell("".join(blocks("Exports and restores", "sh")), tmp_path, "(?s).*", GNUPGHOME=str(keys))
    found = re.findall(r"Revision \d+ is in effect|Nothing was restored: this was a dry run\.", shown)
    assert found == [
        "Revision 2 is in effect",
        "Revision 3 is in effect",
        "Nothing was restored: this was a dry run.",
        "Revision 4 is in effect",
    ]
    assert "~ datetime/timezone\n  - Asia/Tokyo\n  + Etc/UTC\n" in shown
    assert re.search(r"[0-9a-f]{64}  configuration/tree\.json\n2\n", shown)
    listed = {entry["path"]: entry["sha256"] for entry in json.loads((tmp_path / "site" / "MANIFEST.json").read_bytes())["files"]}
    for name, digest in listed.items():
        assert hashlib.sha256((tmp_path / "site" / name).read_bytes()).hexdigest() == digest
    assert (tmp_path / "site.config-gpg").stat().st_mode & 0o777 == 0o600
