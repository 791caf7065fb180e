"""A record of the log is one line of JSON, whatever it holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from doorward.cli.logging import LogLevelError, configure
from tests.faults.full_disk import SmallDisk, small_disk

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


def test_a_level_that_there_is_not_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORWARD_LOG_LEVEL", "loud")
    with pytest.raises(LogLevelError, match="DOORWARD_LOG_LEVEL must be debug, info, warning or error, not loud"):
        configure()


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


_FILLED = """
import os
import sys
import structlog
from doorward.cli.logging import configure
configure()
log = structlog.get_logger()
disk = sys.argv[1]
log.info("before", text="x" * 2000)
with open(disk + "/ballast", "wb", buffering=0) as ballast:
    try:
        while ballast.write(bytes(4096)):
            pass
    except OSError:
        pass
for number in range(20):
    log.info("full", number=number, text="y" * 1000)
os.unlink(disk + "/ballast")
for number in range(3):
    log.info("after", number=number)
"""


def test_what_a_full_disk_cut_off_does_not_swallow_the_next_record(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        if not isinstance(disk, SmallDisk):  # no file of a disk that can be full
            return
        log = tmp_path / "disk" / "log"
        with log.open("wb") as opened:
            subprocess.run([sys.executable, "-c", _FILLED, str(log.parent)], stderr=opened, check=True, cwd=tmp_path)
        lines = log.read_bytes().splitlines()
    assert json.loads(lines[0])["event"] == "before"
    assert [json.loads(line)["number"] for line in lines[-3:]] == [0, 1, 2]
    assert {json.loads(line)["event"] for line in lines[-3:]} == {"after"}
    cut = [line for line in lines if not line.endswith(b"}")]
    assert len(cut) == 1, "the disk was full in the middle of a record"
