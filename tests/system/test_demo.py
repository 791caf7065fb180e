"""``make demo`` does what it promises, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demonstration_is_true_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([ROOT / "scripts" / "demo"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Revision 2 is in effect." in done.stdout
    listed, _, replayed = done.stdout.partition("# It is listed")[2].partition("# The replay")
    assert "quickstart  ACCEPT" in listed
    assert "marmalade as well" in listed
    assert "marmalade as well" in replayed
    assert "frames are in order" in replayed
    assert list(tmp_path.iterdir()) == []
    left = [path for path in Path("/proc").glob("[0-9]*") if str(tmp_path).encode() in _command(path)]
    assert left == []


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""
