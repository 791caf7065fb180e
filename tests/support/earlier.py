"""State directories of earlier formats, as servers of that time left them: see ``states/README.md``."""

from __future__ import annotations

import tarfile
from pathlib import Path

PASSWORD = "correct-horse-battery"
STATES = {path.name.removesuffix(".tar.xz"): path for path in sorted(Path(__file__).with_name("states").glob("*.tar.xz"))}


def unpack(name: str, directory: Path) -> Path:
    """Unpack a state into a directory that is made; return it."""
    directory.mkdir(mode=0o700)
    with tarfile.open(STATES[name]) as archive:
        archive.extractall(directory, filter="tar")
    directory.chmod(0o700)
    return directory
