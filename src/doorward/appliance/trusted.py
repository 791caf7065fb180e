"""The file with which clients of this machine check who the server is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from doorward.configuration.management import certificates
from doorward.tree.snapshot import Snapshot


def hand_out(snapshot: Snapshot, file: Path) -> None:
    """Keep in a file what clients of this machine check the server with."""
    content = certificates.trusted(snapshot).encode()
    with contextlib.suppress(OSError):
        if file.read_bytes() == content:
            return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        written.write(content)
    part.replace(file)
