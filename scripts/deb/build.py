"""The contents of a package, and the package: the same sources give the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from doorward import __version__
from scripts.deb.manual import pages

ROOT: Final = Path(__file__).parents[2]
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_LIB: Final = "usr/lib/doorward"
_NOT_KEPT: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
"""What tells of an installation rather than of a package."""
_PROGRAMS: Final = {"doorward": "doorward.cli", "doorward-host": "doorward.host.helper.running"}
_PROGRAM: Final = """\
#!/{lib}/bin/python -I
import sys

from {module} import main

sys.exit(main())
"""
_UNITS: Final = ("doorward.service", "doorward-host.service", "doorward-host.socket", "doorward-workers.service")


@dataclass(frozen=True, slots=True)
class Release:
    """A release of Debian: its Python, and the packages that are named after a version of theirs."""

    number: int
    python: str
    libnfs: str

    @property
    def after(self) -> str:
        """The first Python that it is not for."""
        major, _, minor = self.python.partition(".")
        return f"{major}.{int(minor) + 1}"


RELEASES: Final = {12: Release(12, "3.11", "libnfs13"), 13: Release(13, "3.13", "libnfs14")}


@dataclass(frozen=True, slots=True)
class Build:
    """What to build. ``epoch`` is the time of everything in it; without ``dependencies`` it is only good for looking at."""

    release: Release
    epoch: int
    version: str = __version__
    has_dependencies: bool = True

    @property
    def architecture(self) -> str:
        """As Debian calls it."""
        return _ARCHITECTURES[platform.machine()]

    @property
    def file_name(self) -> str:
        """The name of the package."""
        return f"doorward_{self.version}-1~deb{self.release.number}_{self.architecture}.deb"


def build(wanted: Build, output: Path) -> Path:
    """Build a package into a directory; return it."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="doorward-deb-") as made:
        tree = Path(made, "tree")
        _program(wanted, tree)
        _documents(wanted, tree)
        _units(tree)
        _control(wanted, tree)
        _normalise(wanted, tree)
        package = output / wanted.file_name
        command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "--build", str(tree), str(package)]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(wanted.epoch)}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        return package


def _program(wanted: Build, tree: Path) -> None:
    """Lay out a virtual environment: Python finds it by ``pyvenv.cfg``, and so do the children that it starts."""
    site = tree / _LIB / "lib" / f"python{wanted.release.python}" / "site-packages"
    site.mkdir(parents=True)
    if wanted.has_dependencies:
        _install(wanted, site)
    with tempfile.TemporaryDirectory(prefix="doorward-wheel-") as made:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(wanted.epoch)}
        subprocess.run([*pip, "--wheel-dir", made, str(ROOT)], check=True, env=environment)
        [wheel] = Path(made).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    for left in site.glob("*.dist-info/*"):
        if left.name in _NOT_KEPT:
            left.unlink()
    shutil.rmtree(site / "bin", ignore_errors=True)
    binaries = tree / _LIB / "bin"
    binaries.mkdir()
    (binaries / "python").symlink_to(f"/usr/bin/python{wanted.release.python}")
    settings = ["home = /usr/bin", "include-system-site-packages = false", f"version = {wanted.release.python}"]
    (tree / _LIB / "pyvenv.cfg").write_text("".join(f"{line}\n" for line in settings))
    (tree / "usr/bin").mkdir()
    for name, module in _PROGRAMS.items():
        program = tree / "usr/bin" / name
        program.write_text(_PROGRAM.format(lib=_LIB, module=module))
        program.chmod(0o755)


def _install(wanted: Build, site: Path) -> None:
    machine = platform.machine()
    command = [
        str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--target", str(site), "--no-deps",
        "--require-hashes", "--only-binary", ":all:", "--no-compile-bytecode", "--link-mode", "copy",
        "--python-version", wanted.release.python, "--python-platform", f"{machine}-manylinux_2_34",
        "--requirement", str(ROOT / "requirements/run.txt"),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def _documents(wanted: Build, tree: Path) -> None:
    """Manual pages, completion, and what Debian wants to find of every package."""
    for name, text in pages(wanted.epoch).items():
        _compressed(tree / "usr/share/man" / f"{name}.gz", text.encode())
    for shell, name in {
        "bash": "bash-completion/completions/doorward",
        "zsh": "zsh/vendor-completions/_doorward",
        "fish": "fish/vendor_completions.d/doorward.fish",
    }.items():
        place = tree / "usr/share" / name
        place.parent.mkdir(parents=True)
        place.write_text(_completion(shell))
    documents = tree / "usr/share/doc/doorward"
    documents.mkdir(parents=True)
    shutil.copy(ROOT / "packaging/deb/copyright", documents / "copyright")
    _compressed(documents / "changelog.gz", (ROOT / "CHANGELOG.md").read_bytes())
    shutil.copytree(ROOT / "docs", documents / "docs", ignore=shutil.ignore_patterns("pictures"))
    shutil.copytree(ROOT / "monitoring", tree / "usr/share/doorward/monitoring", ignore=shutil.ignore_patterns("*.test.yml"))
    settings = tree / "etc/default/doorward"
    settings.parent.mkdir(parents=True)
    shutil.copy(ROOT / "packaging/deb/default", settings)


def _completion(shell: str) -> str:
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # it has no other way to them

    return get_completion_script(prog_name="doorward", complete_var="_DOORWARD_COMPLETE", shell=shell) + "\n"


def _compressed(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))


def _units(tree: Path) -> None:
    directory = tree / "lib/systemd/system"
    directory.mkdir(parents=True)
    for name in _UNITS:
        shutil.copy(ROOT / "packaging/systemd" / name, directory / name)


def _control(wanted: Build, tree: Path) -> None:
    directory = tree / "DEBIAN"
    directory.mkdir()
    for name in ("postinst", "prerm", "postrm"):
        shutil.copy(ROOT / "packaging/deb" / name, directory / name)
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink() and directory not in path.parents)
    release = wanted.release
    fields = {
        "Package": "doorward",
        "Version": f"{wanted.version}-1~deb{release.number}",
        "Architecture": wanted.architecture,
        "Maintainer": "The Doorward developers <doorward@example.com>",
        "Installed-Size": str(sum(-(-path.stat().st_size // 1024) for path in files)),
        "Depends": f"python3 (>= {release.python}), python3 (<< {release.after}), libc6, libstdc++6, passwd, util-linux, tzdata",
        "Recommends": f"chrony, gpg, {release.libnfs}, openssh-client, rsync",
        "Section": "admin",
        "Priority": "optional",
        "Description": (
            "self-hosted privileged-session appliance\n"
            " Doorward records SSH sessions to servers, and is managed through a transactional\n"
            " REST API: a commit is journalled, applied to the machine, read back from it, and\n"
            " undone where that fails."
        ),
    }
    (directory / "control").write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
    (directory / "conffiles").write_text("/etc/default/doorward\n")
    (directory / "triggers").write_text("interest-noawait doorward-start\n")
    sums = [f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n" for path in files]
    (directory / "md5sums").write_text("".join(sums))


def _normalise(wanted: Build, tree: Path) -> None:
    """Give everything the modes that Debian wants, and one time."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            is_program = path.is_dir() or (path.parent.name == "DEBIAN" and path.name in {"postinst", "prerm", "postrm"})
            path.chmod(0o755 if is_program or path.parent == tree / "usr/bin" else 0o644)
        os.utime(path, (wanted.epoch, wanted.epoch), follow_symlinks=False)
