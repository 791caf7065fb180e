"""Every `doorward` that the documents show, in blocks and within lines, is a command that there is, with options that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from doorward.cli.main import app

ROOT = Path(__file__).parents[2]
ROOT_COMMAND: Any = typer.main.get_command(app)
NO_COMMAND = {"pair v1"}
"""What begins with the same word: a text that nodes sign."""
PAGES = sorted([*ROOT.glob("*.md"), *(path for path in (ROOT / "docs").rglob("*.md") if "decisions" not in path.parts)])


def shown(text: str) -> Iterator[str]:
    """What stands after `doorward` in blocks and between back quotes."""
    blocks = re.findall(r"^```(?:sh|bash|)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    within = re.findall(r"`(doorward [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    for piece in (*blocks, *within):
        joined = re.sub(r"\\\n\s*", "", piece)
        for line in joined.splitlines():
            code = line.partition(" # ")[0]
            found = re.findall(r"(?:^|[|(;&] ?|-- )doorward ([^&;>()]*)", code.strip())
            yield from (one for one in found if one not in NO_COMMAND)


def fault(line: str) -> str | None:
    """What is wrong with a command; None: nothing."""
    command, options = ROOT_COMMAND, {name for one in ROOT_COMMAND.params for name in one.opts}
    words = re.split(r" \| ", line)[0].split()
    for word in words:
        found = getattr(command, "commands", {}).get(word)
        if found is None:
            if hasattr(command, "commands") and re.fullmatch(r"[a-z][a-z-]+", word):
                return f"{word} is no command"
            break
        command = found
        options |= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    named = {name for word in words for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+", word)} - {"--help"}
    return f"has no {sorted(named - options)}" if named - options else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_is_there(page: Path) -> None:
    assert [(line, why) for line in shown(page.read_text("utf-8")) if (why := fault(line))] == []


def test_they_are_found() -> None:
    found = [line for page in PAGES for line in shown(page.read_text("utf-8"))]
    assert len(found) > 200
    assert [fault(line) for line in ("restor FILE", "backup never", "status --wrong", "backup drill --fil -")] == [
        "restor is no command", "never is no command", "has no ['--wrong']", "has no ['--fil']",
    ]  # fmt: skip
