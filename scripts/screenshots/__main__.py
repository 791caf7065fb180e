"""Draws docs/pictures/console-*.png: pages of the web console, of a real node with a session running (``make screenshots``)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import expect

from tests.system.browsing import chromium, visits
from tests.system.served import served

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SHOWN = (
    ("settings/datetime/ntp_servers", "light", 1280, "settings-light"),
    ("sessions", "dark", 1280, "sessions-dark"),
    ("sessions", "light", 390, "sessions-phone"),
)  # fmt: skip
"""Page, colour scheme, width in pixels, name of the picture."""


def main() -> None:
    """Start a node and a target, log in, and look."""
    with tempfile.TemporaryDirectory() as directory, chromium() as browser:
        home = Path(directory)
        with served(home / "state", home) as site, visits(browser, site.server) as visit, site.terminal() as opened:
            for path, scheme, width, name in SHOWN:
                page = visit(path, viewport={"width": width, "height": 900}, color_scheme=scheme)
                expect(page.get_by_role("heading", level=1)).to_be_visible()
                expect(page.get_by_role("progressbar", name="Loading")).to_have_count(0)
                page.screenshot(path=PICTURES / f"console-{name}.png")
            opened.types("exit")


if __name__ == "__main__":
    main()
