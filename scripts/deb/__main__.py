"""Build a package for a release of Debian: ``python -m scripts.deb [--release 12|13] [--output DIR]``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from doorward import __version__
from scripts.deb.build import RELEASES, ROOT, Build, build


def main() -> int:
    """Build; print where the package is."""
    parser = argparse.ArgumentParser(prog="scripts.deb", description=__doc__)
    parser.add_argument("--release", type=int, choices=sorted(RELEASES), default=12, help="the release of Debian it is for")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="where to put it")
    parser.add_argument("--version", default=__version__, help="the version it says")
    given = parser.parse_args()
    wanted = Build(RELEASES[given.release], epoch(), given.version)
    sys.stdout.write(f"{build(wanted, given.output)}\n")
    return 0


def epoch() -> int:
    """Return the time of the sources: SOURCE_DATE_EPOCH, else that of the last commit."""
    told = os.environ.get("SOURCE_DATE_EPOCH")
    if told is None:
        log = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        told = subprocess.run(log, check=True, capture_output=True, text=True).stdout
    return int(told)


if __name__ == "__main__":
    sys.exit(main())
