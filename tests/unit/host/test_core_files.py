"""Core files: where the kernel puts them by its pattern, whose they are, and that only old ones of ours go."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from doorward.host.core_files import PATTERN, command, ours, places, remove_old
from tests.support.cores import core_file


@pytest.mark.parametrize(
    ("pattern", "made", "others"),
    [
        ("core\n", ["core", "core.4711"], ["core.py", "score", "core.4711.gz"]),
        ("core.%p", ["core.4711"], ["core", "xcore.1"]),
        ("%e-%p.core", ["doorward-4711.core"], ["doorward.core.old"]),
        ("crash/core.%e.%t", ["crash/core.doorward.1"], ["core.doorward.1"]),
        ("100%%.%s", ["100%.6"], ["100%%.6"]),
        ("|/usr/lib/systemd/systemd-coredump %P", [], ["core"]),
        ("", [], ["core"]),
    ],
)
def test_a_pattern_finds_what_it_made(tmp_path: Path, pattern: str, made: list[str], others: list[str]) -> None:
    (tmp_path / "crash").mkdir()
    for name in (*made, *others):
        (tmp_path / name).touch()
    assert {str(path.relative_to(tmp_path)) for path in places(pattern, [tmp_path])} == set(made)


def test_an_absolute_pattern_is_looked_for_in_its_own_directory(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "core.1").touch()
    (tmp_path / "core.1").touch()
    assert list(places(f"{tmp_path}/here/core.%p", [tmp_path])) == [tmp_path / "here" / "core.1"]
    assert list(places(f"{tmp_path}/%u/core.%p", [tmp_path])) == []
    assert list(places(f"{tmp_path}/missing/core.%p", [tmp_path])) == []


def test_the_kernel_says_whose_memory_it_was(tmp_path: Path) -> None:
    """Against a core file of this kernel, where it writes one; the head of a made one is the same."""
    limits = resource.RLIM_INFINITY, resource.RLIM_INFINITY
    subprocess.run(
        [sys.executable, "-c", "import os; os.abort()", "doorward"], cwd=tmp_path, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, limits),
    )  # fmt: skip
    made = [path for path in places(PATTERN.read_text(), [tmp_path]) if ours(path, tmp_path)]
    made.append(core_file(tmp_path / "made", "python3", f"{sys.executable} -c import os; os.abort() doorward", 0))
    for path in made:
        said = command(path)
        assert said is not None
        assert said.startswith("python")
        assert sys.executable in said


def test_what_is_no_core_file_has_no_command(tmp_path: Path) -> None:
    whole = core_file(tmp_path / "core", "doorward", "doorward serve", 0).read_bytes()
    for content in (b"", b"doorward", whole[:20], whole[:300], b"\x7fELF\x01" + whole[5:], whole[:16] + b"\x02" + whole[17:]):
        (tmp_path / "core").write_bytes(content)
        assert command(tmp_path / "core") is None
    assert command(tmp_path / "missing") is None
    assert command(tmp_path) is None


def test_only_old_ones_of_ours_go(tmp_path: Path) -> None:
    state, there = tmp_path / "state", tmp_path / "there"
    state.mkdir()
    there.mkdir()
    old = [
        core_file(there / "core.1", "doorward", "doorward serve", 99),
        core_file(there / "core.2", "python3", "/usr/bin/python3 -m doorward serve", 99),
        core_file(state / "core.3", "chronyd", "/usr/sbin/chronyd -d -f /srv/door/run/chronyd.conf", 99),
    ]
    core_file(there / "core.4", "doorward", "doorward serve", 100)
    core_file(there / "core.5", "chronyd", "/usr/sbin/chronyd -F 1", 99)
    core_file(there / "kept", "doorward", "doorward serve", 99)
    (there / "core.6").write_bytes(b"doorward")
    (there / "core.7").symlink_to(there / "kept")
    assert sorted(remove_old(Path("/srv/door"), 100, "core.%p", [there, state])) == sorted(old)
    assert sorted(path.name for path in there.iterdir()) == ["core.4", "core.5", "core.6", "core.7", "kept"]
    assert list(state.iterdir()) == []
