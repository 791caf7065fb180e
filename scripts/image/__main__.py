"""Build an image for containers: ``python -m scripts.image [--release 12|13] [--output DIR]``, as root, without a daemon."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from doorward import __version__
from scripts.deb.__main__ import epoch
from scripts.deb.build import RELEASES, ROOT, Build
from scripts.image.build import build, make_base


def main() -> int:
    """Build; print where the image is."""
    parser = argparse.ArgumentParser(prog="scripts.image", description=__doc__)
    parser.add_argument("--release", type=int, choices=sorted(RELEASES), default=12, help="the release of Debian below it")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="where to put it")
    parser.add_argument("--base", type=Path, help="archive of the Debian below it, which is made where it is not there")
    given = parser.parse_args()
    os.umask(0o022)  # what is compiled in the image has the modes of that
    wanted = Build(RELEASES[given.release], epoch(), __version__)
    base = given.base or ROOT / f"build/image-base-{given.release}.tar"
    if not base.exists():
        sys.stderr.write(f"Making the Debian {given.release} below it.\n")
        make_base(wanted.release, base, wanted.epoch)
    image = build(wanted, base, given.output)
    sys.stdout.write(f"{image}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
