"""Sessions in the web console: found by a word of them and replayed, followed while they run, locked and ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.system.browsing import Visits, chromium, visits
from tests.system.served import Served, left_behind, served


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("console")
    with served(directory / "state", directory) as found:
        yield found
    assert left_behind(directory / "state") == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def visit(site: Served, browser: Browser) -> Iterator[Visits]:
    with visits(browser, site.server) as found:
        yield found


def _screen(page: Page, text: str) -> None:
    """See some text on the terminal of the player."""
    expect(page.locator(".ap-term")).to_be_visible()
    expect(page.locator(".ap-term .ap-line").filter(has_text=text).first).to_be_visible()


def test_a_session_is_found_by_a_word_and_replayed(site: Served, visit: Visits) -> None:
    with site.terminal() as opened:
        opened.types("echo found-$((6*7))")
        opened.awaits("found-42")
        opened.types("exit")
        assert opened.ended().code == 0
    page = visit("sessions?content=found-42")
    row = page.get_by_role("row").filter(has_text="127.0.0.1")
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Where it is").click()
    hit = row.get_by_role("listitem").filter(has_text="found-42").first
    expect(hit).to_be_visible()
    row.get_by_role("link", name="Replay").click()
    page.locator(".ap-player").click()
    _screen(page, "found-42")
    page.go_back()
    # A hit opens it at its second, and so does a command that the player lists.
    row.get_by_role("button", name="Where it is").click()
    hit.get_by_role("link").click()
    expect(page.locator(".ap-player")).to_be_visible()
    expect(page.locator("#told")).to_be_empty()


def test_a_session_is_followed_locked_and_ended(site: Served, visit: Visits) -> None:
    with site.terminal() as opened:
        key = site.only()
        page = visit("sessions")
        page.get_by_role("button", name="Lock:").click()
        expect(page.get_by_text("locked", exact=True)).to_be_visible()
        assert site.server.login().body(f"/api/sessions/live/{key}")["locked"] is True
        page.get_by_role("button", name="Unlock:").click()
        expect(page.get_by_text("locked", exact=True)).to_have_count(0)
        page.get_by_role("link", name="Follow").click()
        opened.types("echo seen-$((6*7))")
        _screen(page, "seen-42")
        page.go_back()
        page.get_by_role("button", name="End:").click()
        page.get_by_placeholder("Reason").fill("enough")
        page.get_by_role("dialog").get_by_role("button", name="End").click()
        assert opened.ended().code != 0
    expect(page.get_by_text("No session runs")).to_be_visible()
