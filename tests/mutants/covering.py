"""Which tests run which lines: a plugin for pytest that measures it, and what it measured.

Tests in this process are told apart one by one, also in threads that they did not begin; those that start servers by their file.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData

CONTEXT = "DOORWARD_TEST_FILE"
"""In the environment of servers: the file of the test that started it."""
DURATIONS = "DOORWARD_TEST_DURATIONS"
"""In the environment of pytest: where to write how long each test took."""
_seconds: dict[str, float] = defaultdict(float)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Say whose lines come next."""
    os.environ[CONTEXT] = item.nodeid.partition("::")[0]
    if measuring := Coverage.current():
        measuring.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a test took."""
    _seconds[report.nodeid] += report.duration


def pytest_sessionfinish() -> None:
    """Write what the tests took."""
    if path := os.environ.get(DURATIONS):
        Path(path).write_text(json.dumps(_seconds), encoding="utf-8")


@dataclass
class Covering:
    """The tests that run each line of each module, and how many seconds a test takes."""

    lines: dict[str, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, measured: Path, durations: Path, source: Path) -> None:
        """Add what one run measured of the modules below ``source``; files of tests take what their tests take together."""
        data = CoverageData(str(measured))
        data.read()
        for name in data.measured_files():
            module = str(Path(name).relative_to(source))
            for line, contexts in data.contexts_by_lineno(name).items():
                self.lines[module][line] |= {context for context in contexts if context}
        for test, seconds in json.loads(durations.read_text(encoding="utf-8")).items():
            self.seconds[test] = seconds
            file = test.partition("::")[0]
            self.seconds[file] = self.seconds.get(file, 0.0) + seconds

    def tests(self, module: str, line: int) -> tuple[list[str], list[str]]:
        """Return the tests that run a line, and the files of those with servers; of an import, all.

        First come those of the package, the quickest before the others.
        """
        lines = self.lines[module]
        tests = lines[line] or {test for tests in lines.values() for test in tests}
        own = f"tests/unit/{module.partition('/')[0]}/"  # they notice most, and may be few among many that pass by
        ranked = sorted(tests, key=lambda test: (not test.startswith(own), self.duration(test)))
        return [test for test in ranked if "::" in test], [test for test in ranked if "::" not in test]

    def duration(self, test: str) -> float:
        """Return the seconds that a test took, or a file of tests."""
        return self.seconds.get(test, 1.0)


class Chosen(Covering):
    """Tests that somebody chose."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self._names = names

    def tests(self, module: str, line: int) -> tuple[list[str], list[str]]:
        """Return all of them."""
        return self._names, []

    def duration(self, test: str) -> float:
        """Return enough for a file."""
        return 30.0
