"""The web console in Debian's Chromium, which nothing on any page may offend or break."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.server import PASSWORD, Server, until

PACKAGES = Path(__file__).parents[2] / "console/node_modules"
AXE = PACKAGES / "axe-core/axe.min.js"
INSTALLED = PACKAGES / ".lock"
"""Written when they are there: `make test` installs them beside the tests."""
PATIENCE = 60_000
"""Milliseconds: a machine may be slow."""
expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, without its pages."""
    with sync_playwright() as playwright:
        # The certificate is one of a node's own authority. What a context ignores does not hold for connections of its workers.
        options = ["--no-sandbox", "--disable-gpu", "--ignore-certificate-errors"]
        launched = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        yield launched
        launched.close()


class Visits:
    """Opens the console of a server, each time in a browser profile of its own, and logs in."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self._browser, self._server = browser, server
        self._contexts: list[BrowserContext] = []
        self.wrong: list[str] = []
        """What a policy forbade, and what failed in a script."""

    def __call__(self, path: str = "", *, user: str = "admin", password: str = PASSWORD, **options: Any) -> Page:
        page = self.anonymous(path, **options)
        self.log_in(page, user, password)
        return page

    @staticmethod
    def log_in(page: Page, user: str = "admin", password: str = PASSWORD) -> None:
        """Fill the form of the login."""
        page.get_by_label("User name").fill(user)
        page.get_by_label("Password").fill(password)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Log out")).to_be_visible()

    def anonymous(self, path: str = "", **options: Any) -> Page:
        """Open a page without logging in."""
        page = self.blank(**options)
        page.goto(f"/console/{path}")
        return page

    def blank(self, **options: Any) -> Page:
        """Open a browser that is nowhere yet."""
        context = self._browser.new_context(ignore_https_errors=True, base_url=self._server.url, **options)
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda message: self.wrong.append(message.text) if "Content Security" in message.text else None)
        return page

    def close(self) -> None:
        """Close them all."""
        for context in self._contexts:
            context.close()


@contextmanager
def visits(browser: Browser, server: Server) -> Iterator[Visits]:
    """Visits during which nothing goes wrong."""
    found = Visits(browser, server)
    yield found
    found.close()
    assert found.wrong == []


def go(page: Page, path: str) -> None:
    """Go to another page as a link within the console does."""
    page.evaluate(
        "path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')); }", f"/console/{path}"
    )


def accessible(page: Page) -> list[tuple[str, list[str]]]:
    """Return what axe finds wrong with a page as it is now: rules with the elements that break them."""
    if not page.evaluate("() => 'axe' in window"):
        until(INSTALLED.exists, 900, "axe, which scripts/console installs")
        page.evaluate(AXE.read_text("utf-8"))
    found = "async () => (await axe.run()).violations.map((one) => [one.id, one.nodes.map((node) => node.html)])"
    return [(name, elements) for name, elements in page.evaluate(found)]
