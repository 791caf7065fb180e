"""A record of the log is one line of JSON, whatever it holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_PROGRAM = """
import logging
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
    logging.getLogger("uvicorn.error").error("Invalid %s", "HTTP", exc_info=True)
logging.getLogger("asyncio").warning("slow")
logging.getLogger("asyncio").info("silent")
"""


def test_every_record_is_a_line_of_json(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], stderr=subprocess.PIPE, check=True, cwd=tmp_path)
    ordinary, half, foreign, failed, theirs, slow = (json.loads(line) for line in ran.stderr.splitlines())
    assert (ordinary["event"], ordinary["level"], ordinary["number"], ordinary["text"]) == ("ordinary", "info", 1, "é")
    assert half["text"] == "\udc80"
    assert foreign["digits"] == 10**30
    assert "x" in foreign["path"]
    assert "ValueError: broken" in failed["exception"]
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("Invalid HTTP", "error", "uvicorn.error")
    assert theirs["exception"] == failed["exception"]
    assert (slow["event"], slow["level"], "exception" in slow) == ("slow", "warning", False)


def nobody_reads() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("opened", [nobody_reads, lambda: os.open("/dev/full", os.O_WRONLY)], ids=["no reader", "full disk"])
def test_a_log_that_takes_nothing_stops_nobody(tmp_path: Path, opened: Callable[[], int]) -> None:
    log = opened()
    try:
        subprocess.run([sys.executable, "-c", _PROGRAM], stderr=log, check=True, cwd=tmp_path)
    finally:
        os.close(log)
