"""The web console in a real browser against a real server: the journey of an administrator, every form, accessibility."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.server import PASSWORD, Server, running
from tests.system.browsing import Visits, chromium, visits

NTP = "datetime/ntp_servers"
PAGES = ("", "sessions", "settings", f"settings/{NTP}", "rights", "time", "backups", "cluster", "history", "review")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("console") / "state") as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def visit(server: Server, browser: Browser) -> Iterator[Visits]:
    with visits(browser, server) as found:
        yield found


def go(page: Page, path: str) -> None:
    """Go to another page as a link within the console does."""
    page.evaluate(
        "path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')); }", f"/console/{path}"
    )


def test_the_journey_of_an_administrator(server: Server, visit: Visits) -> None:
    page = visit(f"settings/{NTP}")
    field = page.get_by_label("Value")
    expect(field).to_have_value("pool.ntp.org")

    # A mistake is shown at its field, and what was typed stays.
    field.fill("no host!")
    page.get_by_role("button", name="Stage the change").click()
    expect(page.locator('[id="field.0.value-help"]')).to_contain_text("Must be a host name.")
    expect(field).to_have_value("no host!")
    expect(field).to_be_focused()
    field.fill("time.example.org")
    page.get_by_role("button", name="Stage the change").click()
    expect(page.get_by_text("1 change is not in effect yet")).to_be_visible()

    # The review says what changes in words, and the commit is on trial.
    page.get_by_role("button", name="Review").click()
    row = page.get_by_role("row").filter(has_text="NTP servers")
    expect(row).to_contain_text("pool.ntp.org")
    expect(row).to_contain_text("time.example.org")
    page.get_by_label("Message").fill("another clock")
    page.get_by_role("button", name="Commit on trial").click()
    expect(page.get_by_text("by admin is on trial")).to_be_visible()

    # Another browser sees the countdown, also after a reload, and confirms.
    other = visit()
    expect(other.get_by_text("by admin is on trial")).to_be_visible()
    other.reload()
    expect(other.get_by_role("timer")).to_contain_text("goes back by itself")
    other.get_by_role("button", name="Confirm").click()
    expect(other.get_by_text("is on trial")).to_have_count(0)
    expect(page.get_by_text("is on trial")).to_have_count(0)
    assert server.login().body(f"/api/configuration/{NTP}")[0]["value"] == "time.example.org"

    # The history goes back.
    go(page, "history")
    expect(page.get_by_role("row").filter(has_text="another clock")).to_be_visible()
    page.get_by_role("button", name="Go back to this: 1").click()
    expect(page.get_by_role("row").filter(has_text="NTP servers")).to_contain_text("pool.ntp.org")
    page.get_by_role("button", name="Commit", exact=True).click()
    expect(page.get_by_text("is in effect.")).to_be_visible()
    assert server.login().body(f"/api/configuration/{NTP}")[0]["value"] == "pool.ntp.org"


def test_every_form_sends_back_what_it_got(server: Server, visit: Visits) -> None:
    reader = server.login()
    endpoints = reader.get("/api/openapi.json").json()["x-doorward"]["endpoints"]
    paths = []
    for path, about in endpoints.items():
        if not about["writable"] or not path.startswith("/api/configuration/") or about["kind"] == "store":
            continue
        if about["kind"] == "collection":
            items = reader.get(path).json()["items"]
            paths += [item["meta"]["href"] for item in items[:1]]
        else:
            paths.append(path)
    assert len(paths) > 30
    page = visit("settings")
    expect(page.get_by_role("tree")).to_be_visible()
    for path in paths:
        go(page, f"settings/{path.removeprefix('/api/configuration/')}")
        with page.expect_response(lambda answer, path=path: answer.request.method == "PUT" and answer.url.endswith(path)) as told:  # type: ignore[misc]
            page.get_by_role("button", name="Stage the change").click()
        assert told.value.ok, (path, told.value.text())
    changes = page.evaluate("async () => (await (await fetch('/api/transaction/changes')).json()).changes")
    assert changes == []


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (390, "dark")], ids=["a wide light screen", "a narrow dark screen"]
)
def test_every_page_is_accessible(visit: Visits, width: int, scheme: str) -> None:
    page = visit(viewport={"width": width, "height": 900}, color_scheme=scheme)
    found = {}
    for path in PAGES:
        go(page, path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("progressbar", name="Loading")).to_have_count(0)
        violations = page.evaluate(
            "async () => (await axe.run()).violations.map((one) => [one.id, one.nodes.map((n) => n.html)])"
        )
        if violations:
            found[path] = violations
        width_of_page = page.evaluate("() => document.documentElement.scrollWidth")
        assert width_of_page <= width, path
    assert found == {}


def test_the_end_of_the_login_session_leaves_what_was_typed(server: Server, visit: Visits) -> None:
    page = visit(f"settings/{NTP}")
    field = page.get_by_label("Value")
    field.fill("typed.example.org")
    page.evaluate(
        "async () => { const me = await (await fetch('/api/user/info')).json();"
        " await fetch('/api/authentication', {method: 'DELETE', headers: {'X-Token': me.body.token}}); }"
    )
    expect(page.get_by_text("Your login session has ended")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your login session has ended")).to_have_count(0)
    expect(field).to_have_value("typed.example.org")
    page.get_by_role("button", name="Stage the change").click()
    expect(page.get_by_text("1 change is not in effect yet")).to_be_visible()
