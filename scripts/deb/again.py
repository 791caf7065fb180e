"""Builds once more, as somebody else would, and compares: ``python -m scripts.deb.again BUILT MODULE [OPTION...]``.

From a copy of the sources in another place, by another clock, time zone, umask and order of sets. Nothing is downloaded: the
clock is years ahead. ``MODULE`` builds, and takes ``--output``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from scripts.deb.__main__ import epoch
from scripts.deb.build import ROOT
from scripts.deb.machine import expect

_NOT_COPIED: Final = (".git", ".venv", "build", "dist", "node_modules", "__pycache__", ".*_cache", ".hypothesis")
_CLOCK: Final = "2031-05-06 07:08:09"
_MAX_NAMED: Final = 20


def build_elsewhere(module: str, options: list[str], directory: Path) -> Path:
    """Build in a directory; return what was built."""
    sources = directory / "somewhere else" / "sources"
    shutil.copytree(ROOT, sources, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    environment = {
        **os.environ,
        "PYTHONPATH": str(sources / "src"),
        "PYTHONHASHSEED": "7",
        "SOURCE_DATE_EPOCH": str(epoch()),
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "NO_FAKE_STAT": "1",
        "UV_OFFLINE": "1",
    }
    words = ["faketime", _CLOCK, sys.executable, "-m", module, *options, "--output", str(directory / "built")]
    done = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$@"', "sh", *words],
        cwd=sources,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Path(done.stdout.strip())


def members(built: Path) -> dict[str, str]:
    """Return a digest of everything that is in a package or an image, by name."""
    with tempfile.TemporaryFile() as packed:
        if built.suffix == ".deb":
            subprocess.run(["dpkg-deb", "--fsys-tarfile", str(built)], check=True, stdout=packed)
        else:
            with built.open("rb") as file:
                shutil.copyfileobj(file, packed)
        packed.seek(0)
        found = {}
        with tarfile.open(fileobj=packed) as archive:
            for entry in archive:
                told = f"{entry.mode:o} {entry.uid} {entry.gid} {entry.mtime} {entry.linkname}".encode()
                content = archive.extractfile(entry) if entry.isreg() else None
                found[entry.name] = hashlib.sha256(told + (content.read() if content is not None else b"")).hexdigest()
    return found


def main() -> int:
    """Build and compare."""
    parser = argparse.ArgumentParser(prog="scripts.deb.again", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("built", type=Path, help="what was built here")
    parser.add_argument("module", help="what builds it")
    given, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="doorward-again-") as made:
        again = build_elsewhere(given.module, options, Path(made))
        here, there = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (given.built, again))
        if here != there:
            first, second = members(given.built), members(again)
            differ = [name for name in sorted({*first, *second}) if first.get(name) != second.get(name)]
            sys.stderr.write(
                "".join(f"differs: {name}\n" for name in differ[:_MAX_NAMED] or ["the control files, or the archive"])
            )
    expect(here == there, f"built again elsewhere, by another clock: the same bytes, {here[:16]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
