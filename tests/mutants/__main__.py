"""``make mutants``, or ``python -m tests.mutants [--count N] [--seed N] [--all] [MODULE ...]``.

Changes one small thing at a time in a copy of the sources and runs the tests that cover the line: unit tests first, then those
that start servers. What no test notices is printed as a difference. Which tests cover what is measured once and kept; begin
anew with ``--measure`` after tests were added. One process at a time.
"""

from __future__ import annotations

import argparse
import compileall
import ctypes
import difflib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.mutants.covering import CONTEXT, DURATIONS, Chosen, Covering
from tests.mutants.mutations import Mutation, mutations

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "doorward"
CHOSEN = (
    "access", "cluster", "store", "transaction", "backup/restore", "backup/checking.py", "events/support_bundles.py",
    "tree/nodes",
)  # fmt: skip
"""What a fault would cost most in: files and folders below the sources."""
UNIT = ("tests/unit/access", "tests/unit/api", "tests/unit/backup", "tests/unit/cluster", "tests/unit/events", "tests/unit/store",
        "tests/unit/transaction", "tests/unit/tree")  # fmt: skip
SERVERS = (
    "tests/contract", "tests/system/test_directory.py", "tests/system/test_radius.py", "tests/system/test_cluster.py",
    "tests/system/test_cluster_copies.py", "tests/system/test_cluster_pairing.py", "tests/system/test_cluster_partition.py",
    "tests/system/test_cluster_restored_central.py",
)  # fmt: skip
"""Tests with servers, ours and others: directories, RADIUS, and clusters of processes."""
FIRST_TESTS = 40
"""The quickest tests, tried by themselves: they notice most, and not even the files of the others are read for them."""
MAX_TESTS = 400
MAX_FILES = 12
PATIENCE = 20.0
"""Seconds beyond four times what the tests take; a mutant that takes longer was noticed."""
_SUBREAPER = 36


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    module: str
    mutation: Mutation

    @property
    def name(self) -> str:
        """Where, and what kind of change."""
        return f"{self.module}:{self.mutation.line} {self.mutation.kind}"

    def difference(self, source: str) -> str:
        """Return the change of a module as people read it."""
        lines = difflib.unified_diff(source.splitlines(), self.mutation.apply(source).splitlines(), n=1, lineterm="")
        return "\n".join(f"    {line}" for line in list(lines)[3:])


class Workshop:
    """A copy of the sources in which one module is changed at a time, and the tests that are run on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "src" / "doorward"
        shutil.rmtree(folder / "src", ignore_errors=True)
        shutil.copytree(SOURCE, self.source, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(self.source, quiet=1)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.source.parent),
            # What is compiled of a mutant must not be taken for the next one of the same second and size.
            "PYTHONDONTWRITEBYTECODE": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        }

    def measure(self) -> Covering:
        """Run all tests and see what they cover, unless that is known for these sources."""
        covering = Covering()
        digest, known = self._digest(), self.folder / "sources.sha256"
        if not known.exists() or known.read_text(encoding="ascii") != digest:
            for path in self.folder.glob("*.json"):
                path.unlink()
            known.write_text(digest, encoding="ascii")
        for name, tests, context in (("unit", UNIT, ""), ("servers", SERVERS, f"context = ${{{CONTEXT}}}")):
            data, durations, config = (self.folder / f"{name}.{end}" for end in ("coverage", "json", "ini"))
            if not durations.exists():
                patch = "patch = _exit\nsigterm = true\nparallel = true" if context else ""
                config.write_text(f"[run]\ndata_file = {data}\nsource = {self.source}\n{context}\n{patch}\n", encoding="utf-8")
                measuring = ["-m", "coverage", "run", f"--rcfile={config}", "-m"] if not context else ["-m"]
                command = [sys.executable, *measuring, "pytest", "-q", "-p", "tests.mutants.covering", *tests]
                begin = {"COVERAGE_PROCESS_START": str(config)} if context else {}
                environment = {**self.environment, DURATIONS: str(durations), **begin}
                subprocess.run(command, cwd=ROOT, env=environment, check=True)
                if context:
                    command = [sys.executable, "-m", "coverage", "combine", "--quiet", f"--rcfile={config}", str(self.folder)]
                    subprocess.run(command, cwd=ROOT, env=self.environment, check=True)
            covering.add(data, durations, self.source)
        return covering

    def _digest(self) -> str:
        files = sorted(self.source.rglob("*.py"))
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()

    def is_noticed(self, mutant: Mutant, covering: Covering) -> str | None:
        """Return what noticed a mutant: tests of which kind, or the time; None: nothing did."""
        path = self.source / mutant.module
        original = path.read_bytes()
        path.write_text(mutant.mutation.apply(original.decode()), encoding="utf-8")
        try:
            unit, files = covering.tests(mutant.module, mutant.mutation.line)
            stages = ("unit", unit[:FIRST_TESTS]), ("unit", unit[FIRST_TESTS:MAX_TESTS]), ("servers", files[:MAX_FILES])
            for kind, chosen in stages:
                if chosen and (how := self._run(chosen, sum(map(covering.duration, chosen)))):
                    return kind if how == "failed" else how
            return None
        finally:
            path.write_bytes(original)

    def _run(self, tests: list[str], seconds: float) -> str | None:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
        with (self.folder / "last.log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
            try:
                code = process.wait(PATIENCE + 4 * seconds)
            except subprocess.TimeoutExpired:
                return "time"
            finally:
                _end_children()
        return "failed" if code else None


def _end_children() -> None:
    """End what the tests left, which has become ours."""
    for child in psutil.Process().children(recursive=True):
        child.kill()
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


def sample(source: Path, modules: list[str], count: int, seed: int) -> list[Mutant]:
    """Return as many mutants of the modules, at random, from each as many as it is long."""
    files = [
        path for name in modules for path in ([source / name] if name.endswith(".py") else sorted((source / name).rglob("*.py")))
    ]
    every = [Mutant(str(path.relative_to(source)), one) for path in files for one in mutations(path.read_text(encoding="utf-8"))]
    print(f"{len(every)} mutants in {len(files)} modules; {min(count, len(every))} are tried (seed {seed}).", flush=True)
    chosen = random.Random(seed).sample(every, min(count, len(every)))  # noqa: S311 - which ones is no secret
    return sorted(chosen, key=lambda mutant: (mutant.module, mutant.mutation.start))


def main() -> None:
    """Try mutants, print who lives."""
    parser = argparse.ArgumentParser(prog="tests.mutants", description="Change the sources and see whether the tests notice.")
    parser.add_argument("--count", type=int, default=200, help="how many mutants (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    parser.add_argument("--line", type=int, help="only those of this line of one module")
    parser.add_argument("--tests", nargs="+", help="run these instead of those that cover the line")
    parser.add_argument("--measure", action="store_true", help="measure anew what covers what")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "mutants", help="where to work")
    parser.add_argument("module", nargs="*", help=f"files and folders below src/doorward (default: {', '.join(CHOSEN)})")
    wanted = parser.parse_args()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    os.nice(15)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if wanted.measure:
        shutil.rmtree(wanted.folder, ignore_errors=True)
    workshop = Workshop(wanted.folder)
    covering = Chosen(wanted.tests) if wanted.tests else workshop.measure()
    mutants = sample(workshop.source, wanted.module or list(CHOSEN), sys.maxsize if wanted.line else wanted.count, wanted.seed)
    if wanted.line:
        mutants = [mutant for mutant in mutants if mutant.mutation.line == wanted.line]
    results: Counter[str] = Counter()
    survivors = []
    for mutant in mutants:
        how = workshop.is_noticed(mutant, covering)
        results[how or "nothing"] += 1
        print(f"{how or 'SURVIVED':9} {mutant.name}", flush=True)
        if how is None:
            survivors.append(mutant.name)
            print(mutant.difference((workshop.source / mutant.module).read_text(encoding="utf-8")), flush=True)
    print(f"Of {len(mutants)}, noticed by {json.dumps(results)}.")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
