"""Citations and links lead somewhere: sections of the contract, decisions, pages and their headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONTRACT = DOCS / "contract"
DECISIONS = DOCS / "decisions"

SOURCES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    if path != Path(__file__)
)

_NAMES = {
    "protocol": "protocol",
    "configuration contract": "configuration",
    "time contract": "time",
    "backup contract": "backup",
    "cluster contract": "cluster",
    "sessions contract": "sessions",
    "trust contract": "trust",
    "compatibility": "compatibility",
}
_NUMBER = r"(?:\d+(?:\.\d+)*|[A-I])(?![\w])"
_NAME = rf"{'|'.join(_NAMES)}|RFC \d+"
_LIST = rf"(?P<numbers>{_NUMBER}(?:(?:, and |, | and | to | or ){_NUMBER})*)"
_CITATION = re.compile(
    rf"(?:(?P<name>{_NAME})[\s,(]+)?\bsections? {_LIST}(?: of (?:the )?(?:wire )?(?P<of>{_NAME}))?", re.IGNORECASE
)
_BY_FOLDER = {
    ROOT / "src/doorward/backup": "backup",
    ROOT / "src/doorward/api/backup": "backup",
    ROOT / "src/doorward/cluster": "cluster",
    ROOT / "src/doorward/api/cluster": "cluster",
    ROOT / "src/doorward/membership": "cluster",
}
"""What a citation without a name is about; elsewhere it is the protocol."""


class Citation(NamedTuple):
    """A section that a text names. ``page`` is a page of the contract, None for a document of others."""

    page: str | None
    number: str
    words: str


def plain(text: str) -> str:
    """Return a text on one line, without the marks of comments and of links."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\s+(?:#\s+)?", " ", text)


def page_of(path: Path) -> str:
    """Return the page that a citation without a name is about, in this file."""
    if path.parent == CONTRACT:
        return path.stem
    return next((page for folder, page in _BY_FOLDER.items() if path.is_relative_to(folder)), "protocol")


def citations(path: Path) -> Iterator[Citation]:
    """Yield what a file cites. Without a name, in a module that begins with an RFC, it is that one."""
    text = plain(path.read_text())
    outside = re.search(r"RFC \d+", text[:1000]) if path.suffix == ".py" else None
    for found in _CITATION.finditer(text):
        name = (found["name"] or found["of"] or "").lower()
        if not name and outside is not None and outside.start() < found.start():
            continue
        page = None if name.startswith("rfc") else _NAMES.get(name, page_of(path))
        for number in re.findall(_NUMBER, found["numbers"]):
            yield Citation(page, number, found[0])


@cache
def sections(page: str) -> frozenset[str]:
    """Return the numbers of all headings of a page of the contract."""
    text = (CONTRACT / f"{page}.md").read_text()
    return frozenset(re.findall(rf"^#+ ({_NUMBER})\.? ", text, re.MULTILINE))


def test_every_page_of_the_contract_is_there() -> None:
    assert {page.stem for page in CONTRACT.glob("*.md")} - {"README"} == set(_NAMES.values())


@cache
def cited() -> list[tuple[Path, Citation]]:
    """Return all citations, with the files that they stand in."""
    return [(path, one) for path in SOURCES for one in citations(path)]


def test_citations_are_found() -> None:
    found = [one for _, one in cited()]
    assert len([one for one in found if one.page is not None]) > 200
    assert {one.page for one in found} > {"protocol", "configuration", "time", "backup", "cluster"}


def test_every_citation_leads_to_a_heading() -> None:
    lost = [
        f"{path.relative_to(ROOT)}: {one.words!r}: {one.page}.md has no section {one.number}"
        for path, one in cited()
        if one.page is not None and one.number not in sections(one.page)
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(protocol, section 9.1)", [("protocol", "9.1")]),
        ("(cluster contract,\n    sections 6, 8 and 9)", [("cluster", "6"), ("cluster", "8"), ("cluster", "9")]),
        ("the wire protocol (section 1, no. 4)", [("protocol", "1")]),
        ("# by the time\n# contract, sections 1 to 3.", [("time", "1"), ("time", "3")]),
        ("[backup contract](x.md), section 9", [("backup", "9")]),
        ("RFC 9110, section 8.6", [(None, "8.6")]),
        ("Adds to section 3 of the time contract", [("time", "3")]),
        ("(section 77.7)", [("protocol", "77.7")]),
        ("compatibility, section H", [("compatibility", "H")]),
    ],
)
def test_ways_to_cite(tmp_path: Path, text: str, found: list[tuple[str | None, str]]) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert [(one.page, one.number) for one in citations(page)] == found


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower())
    return kept.replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    seen: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        name = slug(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading))
        seen[name] = seen.get(name, -1) + 1
        if seen[name]:
            seen[f"{name}-{seen[name]}"] = 0
    return frozenset(seen)


PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(other), f"{target}: no such heading"


RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))


def test_every_decision_is_in_the_list_with_its_title_and_status() -> None:
    listed = re.findall(r"^\| \[\d+\]\((\S+)\) \| (.+) \| (\w+).* \|$", (DECISIONS / "README.md").read_text(), re.MULTILINE)
    said = []
    for record in RECORDS:
        found = re.match(r"# 0*(\d+)[.:] (.*)\n\n## Status\n\n(\w+)", record.read_text())
        assert found is not None, record.name
        assert int(record.name[:4]) == int(found[1]), record.name
        said.append((record.name, found[2], found[3]))
    assert listed == said, [f"| [{int(name[:4])}]({name}) | {title} | {status} |" for name, title, status in said]


def test_every_decision_that_is_named_is_there() -> None:
    numbers = {int(record.name[:4]) for record in RECORDS}
    named = {
        (str(path.relative_to(ROOT)), int(number))
        for path in SOURCES
        for group in re.findall(r"\b[Dd]ecisions? (\d+(?:(?:, | and )\d+)*)", plain(path.read_text()))
        for number in re.findall(r"\d+", group)
    }
    assert [(path, number) for path, number in sorted(named) if number not in numbers] == []
