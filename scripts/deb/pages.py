"""The commands of the pages, as an administrator pastes them."""

from __future__ import annotations

import re
from typing import Final

from scripts.deb.build import ROOT

PAGES: Final = tuple(ROOT / "docs" / name for name in ("install.md", "recovery.md", "guide.md"))
PACKAGE: Final = "./doorward_*~deb12_*.deb"
"""The package, as the pages have it."""
NEWER: Final = "./doorward_NEW.deb"


def block(name: str, **exchanged: str) -> str:
    """Return the commands of the pages that begin with a comment of this name; words of it may be exchanged."""
    written = "".join(page.read_text("utf-8") for page in PAGES)
    [found] = re.findall(rf"```sh\n# {name}\n(.*?)```", written, re.DOTALL)
    text = str(found)
    for old, new in exchanged.items():
        if old not in text:
            raise SystemExit(f"the block {name!r} no longer has {old}")
        text = text.replace(old, new)
    return text
