"""What workers that died left: their journals are brought to their last safe frame, and their sessions get an end record."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path

import structlog

from doorward.proxy.messages import Ended
from doorward.proxy.worker.outbox import MAX_SERIAL, SUFFIX, packed, write_end
from doorward.recording.format import Flag, TrailDamagedError, frames, read_beginning
from doorward.recording.journal import SEGMENTS
from doorward.recording.journal import SUFFIX as TRAIL
from doorward.recording.recovery import JournalInUseError, Recovered, recover

CUT = "The session was cut off: its worker died."

log = structlog.get_logger()


def recover_all(trails: Path) -> list[str]:
    """Recover the journals that nobody locks; return the sessions that were cut off. Raises OSError."""
    cut: list[str] = []
    names = {path.name.rpartition(".")[0] for which in SEGMENTS for path in trails.glob(f"*.{which}")}
    for name in sorted(names):
        with suppress(JournalInUseError):
            for found in recover(trails, name):
                if _is_cut(trails, found):
                    _tell(trails, found)
                    cut.append(found.name)
    for left in trails.glob("*.reserve"):  # of a journal that was not even made
        if left.name.removesuffix(".reserve") not in _journals(trails):
            left.unlink(missing_ok=True)
    return cut


def _journals(trails: Path) -> set[str]:
    return {path.name.rpartition(".")[0] for which in SEGMENTS for path in trails.glob(f"*.{which}")}


def _is_cut(trails: Path, found: Recovered) -> bool:
    """Whether a session has no end: neither beside its trail nor in it. Its index is the last thing that it gets."""
    if (trails / f"{found.name}{SUFFIX}").exists():
        return False
    descriptor = os.open(trails / f"{found.name}{TRAIL}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not os.fstat(descriptor).st_size:
            return True
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
            _, begin = read_beginning(data)
            return not any(frame.flags & Flag.INDEX for frame in frames(data, begin))
    except TrailDamagedError:
        return True
    finally:
        os.close(descriptor)


def _tell(trails: Path, found: Recovered) -> None:
    log.warning("session was cut off", session=found.name, until=found.until, damage=found.damage)
    size = (trails / f"{found.name}{TRAIL}").stat().st_size
    ended = Ended(
        session=found.name, at=found.until, verdict="FAIL", reason=CUT, down=0, up=0, trail_bytes=size, recorded=True,
        serial=MAX_SERIAL,
    )  # fmt: skip
    write_end(trails, found.name, packed([ended]))
