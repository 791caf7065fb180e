"""The commands that pages for administrators show: blocks of a shell, by the names that stand in their first lines."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def named(page: str) -> list[str]:
    """Return the names of all blocks of a page that a shell would take; one without a name is called by its first line."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [
        content.partition("\n")[0].removeprefix("# ") for language, content in found if language in {"", "sh", "bash", "console"}
    ]
