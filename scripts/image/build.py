"""What is in an image: a Debian with what Doorward starts, and the package as a layer on top."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from scripts.deb.build import Build, Release
from scripts.deb.build import build as build_package
from scripts.image.layout import Image, LayoutWriter, pack

ACCOUNT: Final = "doorward"
NUMBER: Final = 10001
"""Of the account and its group."""
STATE: Final = "/var/lib/doorward"
PORT: Final = 8443
SSH_PORT: Final = 2222
SUITES: Final = {12: "bookworm", 13: "trixie"}
_NEEDED: Final = "python3 chrony gpg libstdc++6 openssh-client rsync util-linux tzdata"
_LEFT_OUT: Final = re.compile(
    r"(var/(cache|log|lib/apt|lib/dpkg/info|lib/dpkg/[^/]+-old)|usr/share/(doc|man|info|locale|lintian|bug|bash-completion|zsh|fish)|"
    r"lib/systemd|usr/lib/systemd|etc/(systemd|init\.d|rc[0-9S]\.d|cron\.[^/]+|default/doorward|shadow-?|gshadow-?|machine-id|[^/]+-)|"
    r"usr/bin/doorward-host|boot|dev|proc|run|sys|tmp)(/.*)?"
)
"""What nothing needs in a container, or what differs from one to the next; directories themselves stay."""
_KEPT: Final = {"boot", "dev", "proc", "run", "sys", "tmp", "var/cache", "var/log"}


def build(wanted: Build, base: Path, output: Path) -> Path:
    """Build an image into a directory from a Debian; return the file."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="doorward-image-") as made:
        root = Path(made, "root")
        root.mkdir()
        subprocess.run(["tar", "--extract", "--file", str(base), "--directory", str(root), "--exclude=./dev/*"], check=True)
        _add_account(root)
        writer = LayoutWriter(Path(made, "layout"))
        below = {str(path.relative_to(root)) for path in _all(root)}
        layers = [writer.add(entries(root, wanted.epoch, set()))]
        package = build_package(wanted, Path(made))
        _unpack(package, root)
        _compile(root, wanted)
        (root / STATE.lstrip("/")).mkdir(mode=0o700)
        os.chown(root / STATE.lstrip("/"), NUMBER, NUMBER)
        layers.append(writer.add(entries(root, wanted.epoch, below)))
        writer.finish(described(wanted), layers)
        image = output / f"doorward_{wanted.version}_deb{wanted.release.number}_{wanted.architecture}.oci.tar"
        pack(writer.directory, image)
        return image


def make_base(release: Release, archive: Path, epoch: int) -> None:
    """Make the Debian, with what a server starts; needs root or user namespaces, and the network."""
    command = [
        "mmdebstrap", "--quiet", "--variant=essential", "--format=tar", f"--include={_NEEDED} {release.libnfs}",
        '--aptopt=APT::Install-Recommends "false"', SUITES[release.number], f"{archive}.new",
    ]  # fmt: skip
    archive.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)})
    Path(f"{archive}.new").rename(archive)


def described(wanted: Build) -> Image:
    """Return how the image is run: as an account of its own, on ports above 1024, with its state on a volume."""
    return Image(
        architecture=wanted.architecture,
        epoch=wanted.epoch,
        version=wanted.version,
        run={
            "User": f"{NUMBER}:{NUMBER}",
            "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", f"HOME={STATE}", "PYTHONDONTWRITEBYTECODE=1"],
            "Entrypoint": ["/usr/bin/doorward"],
            "Cmd": ["serve", "--state", STATE, "--listen", f"0.0.0.0:{PORT}"],
            "ExposedPorts": {f"{PORT}/tcp": {}, f"{SSH_PORT}/tcp": {}},
            "Volumes": {STATE: {}},
            "WorkingDir": STATE,
            "StopSignal": "SIGTERM",
        },
        labels={
            "org.opencontainers.image.title": "doorward",
            "org.opencontainers.image.description": "self-hosted privileged-session appliance",
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.version": wanted.version,
        },
    )


def _add_account(root: Path) -> None:
    with (root / "etc/passwd").open("a") as file:
        file.write(f"{ACCOUNT}:x:{NUMBER}:{NUMBER}::{STATE}:/usr/sbin/nologin\n")
    with (root / "etc/group").open("a") as file:
        file.write(f"{ACCOUNT}:x:{NUMBER}:\n")


def _unpack(package: Path, root: Path) -> None:
    """Unpack what is in a package, but for units: ``/lib`` is a link, which has to stay one."""
    archive = root.parent / "package.tar"
    with archive.open("wb") as file:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], check=True, stdout=file)
    subprocess.run(["tar", "--extract", "--file", str(archive), "--directory", str(root), "--exclude=./lib"], check=True)


def _compile(root: Path, wanted: Build) -> None:
    """Make bytecode: the root of a container is read-only. It is not compared with its sources, whose times do not count."""
    lib = f"/usr/lib/doorward/lib/python{wanted.release.python}"
    # The order of sets is told in bytecode.
    command = [
        "chroot", str(root), "/usr/lib/doorward/bin/python", "-I", "-m", "compileall", "-q", "-j1",
        "--invalidation-mode=unchecked-hash", lib,
    ]  # fmt: skip
    subprocess.run(
        command, check=False, stdout=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONHASHSEED": "0"}
    )


def _all(root: Path) -> Iterator[Path]:
    """Yield everything below a directory, directories before what is in them, in one order."""
    for place, directories, names in os.walk(root):
        directories.sort()
        here = Path(place)
        links = [name for name in directories if (here / name).is_symlink()]
        yield from (here / name for name in sorted([*names, *links]))
        yield from (here / name for name in directories if name not in links)


def entries(root: Path, epoch: int, below: set[str]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Yield the entries of a layer: what is not in those below. None is later than ``epoch``, or runs as its owner."""
    with tempfile.TemporaryFile() as nowhere, tarfile.open(fileobj=nowhere, mode="w", format=tarfile.GNU_FORMAT) as maker:
        for path in sorted(_all(root), key=lambda path: path.relative_to(root).parts):
            name = str(path.relative_to(root))
            if name in below or (_LEFT_OUT.fullmatch(name) and name not in _KEPT):
                continue
            entry = maker.gettarinfo(path, name)
            entry.uname = entry.gname = ""
            entry.mtime = min(int(entry.mtime), epoch)
            entry.mode &= ~0o6000
            if name == "tmp":
                entry.mode = 0o1777
            if entry.isreg():
                with path.open("rb") as content:
                    yield entry, content
            else:
                yield entry, None
