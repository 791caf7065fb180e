"""Tests that are spread over forked processes: all run, once, and whatever they say arrives."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
SPREAD = """
import pytest

from tests.support.spreading import Spread

def pytest_configure(config):
    config.pluginmanager.register(Spread(2))

@pytest.fixture(scope="session")
def once(tmp_path_factory):
    made = tmp_path_factory.mktemp("once")
    yield made
    with open("torn", "a") as file:
        file.write(made.parent.name + "\\n")
"""
GOOD = """
import os
import warnings
from pathlib import Path

import pytest

@pytest.mark.parametrize("number", range(3))
def test_captured(number, once, capfd):
    with open("ran", "a") as file:
        file.write(f"{__name__} {number} {os.environ['DOORWARD_TESTS_WORKER']}\\n")
    print("hello")
    assert capfd.readouterr().out == "hello\\n"

@pytest.mark.skip(reason="not today")
def test_skipped(): pass

@pytest.mark.filterwarnings("default")
def test_warned(once): warnings.warn("mind the step")
"""
BAD = """
import os

def test_refuted():
    print("what it printed")
    assert 1 == 2

def test_killed(): os.kill(os.getpid(), 9)

def test_behind_it(): pass
"""


def run(directory: Path, **files: str) -> tuple[int, str]:
    """Run files of tests; returns the exit code and what was printed."""
    (directory / "deep").mkdir()
    for name, text in {"conftest": SPREAD, "deep/conftest": "", **files}.items():
        (directory / f"{name}.py").write_text(text)
    plugins = ("no:cacheprovider", "no:schemathesis", "no:hypothesispytest", "no:xdist")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--rootdir=.", "--basetemp=base", *(f"-p{name}" for name in plugins)]
    done = subprocess.run(
        command,
        cwd=directory,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout


def test_every_test_runs_once_and_session_fixtures_once_a_process(tmp_path: Path) -> None:
    code, said = run(tmp_path, **{"test_one": GOOD, "test_two": GOOD, "deep/test_three": GOOD})
    assert code == 0, said
    assert re.search(r"^12 passed, 3 skipped, 3 warnings in", said, re.MULTILINE), said
    assert "not today" in said
    assert "UserWarning: mind the step" in said
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert sorted(line[:2] for line in ran) == sorted(
        [name, str(number)] for name in ("test_one", "test_two", "test_three") for number in range(3)
    )
    workers = {line[2] for line in ran}
    assert workers <= {"0", "1"}
    assert sorted((tmp_path / "torn").read_text().split()) == sorted(f"w{number}" for number in workers)


def test_what_fails_and_what_nobody_could_run_is_told(tmp_path: Path) -> None:
    code, said = run(tmp_path, test_bad=BAD, test_worse=BAD.replace("1 == 2", "1 == 1"), test_z=GOOD)
    assert code == 1, said
    assert "what it printed" in said
    assert "FAILED test_bad.py::test_refuted - assert 1 == 2" in said
    for name in ("bad", "worse"):
        assert f"test_{name}.py::test_killed: the process that ran it has ended" in said
        assert f"test_{name}.py::test_behind_it: nobody ran it" in said
    assert "test_z.py::test_warned: nobody ran it" in said
