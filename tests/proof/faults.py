"""How disks fail."""

from __future__ import annotations

import errno
from typing import NamedTuple

from tests.proof.shim import ALL, SYNCS, WRITES


class Fault(NamedTuple):
    """Which error, of which changes of files, and how often in a row; -1: until it is mended."""

    error: int
    kinds: int
    times: int


FAULTS = {
    "full": Fault(errno.ENOSPC, WRITES, -1),
    "broken": Fault(errno.EIO, ALL, -1),
    "read-only": Fault(errno.EROFS, ALL, -1),
    "sync-fails-once": Fault(errno.EIO, SYNCS, 1),
    "change-fails-once": Fault(errno.EIO, ALL, 1),
}
