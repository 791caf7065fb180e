"""The Debian package without the packages that it brings along: what is in it, and how its services are confined.

``make deb-test`` installs a whole one in a minimal Debian with its systemd, runs, upgrades, purges and recovers it.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from doorward import __version__
from scripts.deb.build import RELEASES, ROOT, Build, build
from scripts.deb.trial import THRESHOLDS

UNITS = ROOT / "packaging/systemd"
WANTED = {
    "etc/default/doorward": 0o644,
    "lib/systemd/system/doorward-host.service": 0o644,
    "lib/systemd/system/doorward-host.socket": 0o644,
    "lib/systemd/system/doorward-workers.service": 0o644,
    "lib/systemd/system/doorward.service": 0o644,
    "usr/bin/doorward": 0o755,
    "usr/bin/doorward-host": 0o755,
    "usr/share/bash-completion/completions/doorward": 0o644,
    "usr/share/doc/doorward/changelog.gz": 0o644,
    "usr/share/doc/doorward/docs/operations.md": 0o644,
    "usr/share/doorward/monitoring/doorward.dashboard.json": 0o644,
    "usr/share/doorward/monitoring/doorward.rules.yml": 0o644,
    "usr/share/doc/doorward/copyright": 0o644,
    "usr/share/fish/vendor_completions.d/doorward.fish": 0o644,
    "usr/share/man/man1/doorward.1.gz": 0o644,
    "usr/share/man/man8/doorward-host.8.gz": 0o644,
    "usr/share/zsh/vendor-completions/_doorward": 0o644,
}


def said(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(Build(RELEASES[12], 1_700_000_000, has_dependencies=False), tmp_path_factory.mktemp("one"))


def test_two_builds_are_the_same_bytes(package: Path, tmp_path: Path) -> None:
    again = build(Build(RELEASES[12], 1_700_000_000, has_dependencies=False), tmp_path)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(package.read_bytes()).digest()


def test_what_a_package_says_and_has(package: Path, tmp_path: Path) -> None:
    fields = dict(line.split(": ", 1) for line in said("dpkg-deb", "--field", package).splitlines() if ": " in line)
    assert (fields["Package"], fields["Version"]) == ("doorward", f"{__version__}-1~deb12")
    assert fields["Depends"].startswith("python3 (>= 3.11), python3 (<< 3.12), ")
    said("dpkg-deb", "--raw-extract", package, tmp_path)
    assert {name: (tmp_path / name).stat().st_mode & 0o7777 for name in WANTED} == WANTED
    listed = said("dpkg-deb", "--contents", package).splitlines()
    assert all(re.match(r"[dl-]rw[x-]r-[x-]r-[x-] root/root |lrwxrwxrwx root/root ", line) for line in listed), "modes, owners"
    site = tmp_path / "usr/lib/doorward/lib/python3.11/site-packages"
    assert (site / "doorward/console/index.html").is_file()
    assert not [path for path in site.rglob("*") if path.name in {"__pycache__", "RECORD", "direct_url.json"}]
    for script in ("postinst", "prerm", "postrm"):
        assert (tmp_path / "DEBIAN" / script).stat().st_mode & 0o111
        said("sh", "-n", tmp_path / "DEBIAN" / script)
    # The first start comes when chrony, which apt may configure later, is ready.
    [awaited] = re.findall(r"^interest-noawait (\S+)$", (tmp_path / "DEBIAN/triggers").read_text(), re.MULTILINE)
    assert f"dpkg-trigger --no-await {awaited}\n" in (tmp_path / "DEBIAN/postinst").read_text()
    for page in ("man1/doorward.1.gz", "man8/doorward-host.8.gz"):
        written = gzip.decompress((tmp_path / "usr/share/man" / page).read_bytes())
        assert written.startswith(b".TH ")
        assert not re.search(rb"\.SH DESCRIPTION\n+\.SH ", written), "it says what the program is"


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units, with a program that every machine has in place of ours, and without manual pages."""
    directory = tmp_path_factory.mktemp("units")
    for unit in UNITS.iterdir():
        text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text())
        (directory / unit.name).write_text(re.sub(r"(?m)^Documentation=.*\n", "", text))
    return directory


def test_systemd_understands_the_units(units: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", *sorted(units.iterdir())], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "doorward" in line] == []


@pytest.mark.parametrize("name", THRESHOLDS)
def test_services_are_confined(units: Path, name: str) -> None:
    done = said("systemd-analyze", "security", "--offline=true", "--no-pager", units / f"{name}.service")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done)
    assert found is not None
    assert float(found[1]) <= THRESHOLDS[name], done
