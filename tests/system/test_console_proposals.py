"""Changes that take a second person, in the web console: proposed, seen at once by others, decided, withdrawn, hurried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.contract.test_approval import SECRET, ApprovalSite
from tests.support.server import Server, running
from tests.system.browsing import Visits, accessible, chromium, go, visits

ZONE = "/api/configuration/datetime/timezone"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """ann writes, eve and bob approve, kim puts out fires."""
    with running(tmp_path_factory.mktemp("console") / "state") as server:
        office = ApprovalSite(server)
        for caller in (office.admin, *office.callers.values()):
            caller.close()
        yield server


@pytest.fixture(scope="module")
def browser(server: Server) -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def visit(server: Server, browser: Browser) -> Iterator[Visits]:
    with visits(browser, server) as found:
        yield found


@pytest.fixture(scope="module")
def ann(visit: Visits) -> Page:
    return visit("review", user="ann", password=SECRET)


@pytest.fixture(scope="module")
def eve(visit: Visits) -> Page:
    return visit("time", user="eve", password=SECRET)


def propose(page: Page, zone: str, message: str) -> None:
    """Change the time zone, up to the review; the change is proposed under a message."""
    go(page, "settings/datetime/timezone")
    page.get_by_role("textbox", name="Time zone").fill(zone)
    page.get_by_role("button", name="Stage the change").click()
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_text("It takes effect once it was accepted by security.")).to_be_visible()
    page.get_by_label("Message").fill(message)


def test_what_one_proposes_the_other_sees_at_once_and_accepts(server: Server, ann: Page, eve: Page) -> None:
    propose(ann, "Europe/Vienna", "closer to home")
    ann.get_by_role("button", name="Propose", exact=True).click()
    expect(ann.get_by_role("heading", level=1, name="closer to home")).to_be_visible()
    expect(ann.get_by_text("security (0 of 1)")).to_be_visible()
    expect(ann.get_by_text("ann (you)")).to_be_visible()
    expect(ann.get_by_role("button", name="Accept")).to_have_count(0)
    expect(ann.get_by_text("not in effect yet")).to_have_count(0)

    # Whoever decides is told of it on any page.
    expect(eve.get_by_text("1 proposal waits for your decision")).to_be_visible()
    expect(eve.get_by_role("navigation").get_by_role("link", name="Proposals")).to_contain_text("1")
    eve.get_by_role("button", name="Look at it").click()
    expect(eve.get_by_role("row").filter(has_text="Time zone")).to_contain_text("Europe/Vienna")
    expect(eve.get_by_text("link /etc/localtime")).to_be_visible()
    assert accessible(eve) == []
    eve.get_by_label("Reason").fill("as agreed")
    eve.get_by_role("button", name="Accept").click()
    for page in (eve, ann):
        expect(page.get_by_text("is in effect.")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="as agreed")).to_contain_text("accepted")
    assert server.login().body(ZONE) == "Europe/Vienna"
    expect(eve.get_by_text("waits for your decision")).to_have_count(0)


def test_what_is_not_wanted_is_rejected_with_a_reason_or_withdrawn(ann: Page, eve: Page) -> None:
    propose(ann, "Asia/Tokyo", "too far")
    ann.get_by_role("button", name="Propose", exact=True).click()
    go(eve, "proposals")
    eve.get_by_role("link", name="too far").click()
    eve.get_by_label("Reason").fill("not today")
    eve.get_by_role("button", name="Reject").click()
    expect(ann.get_by_text("eve rejected it: not today")).to_be_visible()
    expect(ann.get_by_role("button", name="Withdraw")).to_have_count(0)

    propose(ann, "Asia/Seoul", "changed my mind")
    ann.get_by_role("button", name="Propose", exact=True).click()
    ann.get_by_role("button", name="Withdraw").click()
    ann.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    expect(ann.get_by_text("withdrawn", exact=True)).to_be_visible()
    go(ann, "proposals")
    expect(ann.get_by_text("Nothing waits")).to_be_visible()
    ended = ann.get_by_role("grid", name="Ended").get_by_role("row")
    expect(ended.filter(has_text="too far")).to_contain_text("rejected")
    expect(ended.filter(has_text="changed my mind")).to_contain_text("withdrawn")
    assert accessible(ann) == []


def test_an_emergency_goes_ahead_with_a_message(server: Server, visit: Visits) -> None:
    kim = visit("review", user="kim", password=SECRET)
    propose(kim, "Asia/Amman", "")
    hurry = kim.get_by_role("button", name="Commit at once, as an emergency")
    expect(hurry).to_be_disabled()
    kim.get_by_label("Message").fill("fire")
    hurry.click()
    kim.get_by_role("dialog").get_by_role("button", name="Commit at once, as an emergency").click()
    expect(kim.get_by_text("is in effect.")).to_be_visible()
    assert server.login().body(ZONE) == "Asia/Amman"
