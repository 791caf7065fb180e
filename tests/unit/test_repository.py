"""Promises about the repository itself: what no linter for Python looks at."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_MODULE = 400
SECTIONS_OF_A_DECISION = ("Status", "Context", "Decision", "Consequences")
LOCK_FILES = sorted(ROOT.glob("requirements/*.txt"))

# Put together from pieces, so that this file does not match itself.
REGISTRIES = tuple(
    ".".join(name)
    for name in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
    )
)
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home)/[\w.]")


def files_of_the_repository() -> list[Path]:
    """What is tracked or would be, without what git ignores. Another owner of the checkout is no obstacle."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in sorted(set(listing.split("\0"))) if name and (path := ROOT / name).is_file()]


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in files_of_the_repository()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_the_repository_has_files() -> None:
    assert Path(__file__).resolve() in files_of_the_repository()


def test_no_module_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "src").rglob("*.py")}
    assert lengths
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > MAX_MODULE} == {}


def test_no_file_names_a_package_registry() -> None:
    assert lines_matching(re.compile("|".join(map(re.escape, REGISTRIES)), re.IGNORECASE)) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert lines_matching(MACHINE_PATH) == []


@pytest.mark.parametrize("lock_file", LOCK_FILES, ids=lambda path: path.name)
def test_every_locked_package_is_pinned_and_hashed(lock_file: Path) -> None:
    text = lock_file.read_text(encoding="utf-8").replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert packages
    unsafe = [line.split()[0] for line in packages if not re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)]
    assert unsafe == []


@pytest.mark.parametrize("lock_file", LOCK_FILES, ids=lambda path: path.name)
def test_no_lock_file_holds_an_address(lock_file: Path) -> None:
    text = lock_file.read_text(encoding="utf-8")
    assert re.findall(r"\S*://\S*|--(?:extra-)?index-url.*|--find-links.*", text.split("\n", 2)[2]) == []


def test_tests_run_with_the_versions_that_users_run() -> None:
    run, dev = (
        dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("run.txt", "dev.txt")
    )
    assert run
    assert {name: (version, dev.get(name)) for name, version in run.items() if dev.get(name) != version} == {}


def test_every_target_of_the_makefile_is_explained_by_make_help() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][\w-]*)\s*:(?!=)", text, re.MULTILINE)
    [phony] = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    help_text = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    explained = re.findall(r"^ *make ([\w-]+) +\S", help_text, re.MULTILINE)
    assert targets == phony.split() == explained


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make serve" in text
    assert "make test" in text


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"


def test_every_decision_record_is_complete() -> None:
    incomplete = {}
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*")):
        headings = re.findall(r"^## (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        missing = [section for section in SECTIONS_OF_A_DECISION if section not in headings]
        if missing or not re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name):
            incomplete[path.name] = missing or "is not named NNNN-title.md"
    assert incomplete == {}


def test_the_numbers_of_decision_records_are_unique() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("[0-9]*")]
    assert sorted(numbers) == sorted(set(numbers))
