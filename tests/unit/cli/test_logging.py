"""A record of the log is one line of JSON, whatever it holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import structlog
from pathlib import Path
from doorward.cli.logging import configure
configure()
log = structlog.get_logger()
log.info("ordinary", number=1, text="é")
log.info("half", text="\\udc80")
log.info("foreign", path=Path("x"), digits=10**30)
log.debug("silent")
try:
    raise ValueError("broken")
except ValueError:
    log.exception("failed")
"""


def test_every_record_is_a_line_of_json(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], stderr=subprocess.PIPE, check=True, cwd=tmp_path)
    ordinary, half, foreign, failed = (json.loads(line) for line in ran.stderr.splitlines())
    assert (ordinary["event"], ordinary["level"], ordinary["number"], ordinary["text"]) == ("ordinary", "info", 1, "é")
    assert half["text"] == "\udc80"
    assert foreign["digits"] == 10**30
    assert "x" in foreign["path"]
    assert "ValueError: broken" in failed["exception"]
