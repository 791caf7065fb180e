"""The web console in a real browser against a real server: the journey of an administrator, every form, accessibility."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from doorward.tree.nodes import Collection
from tests.contract.planting import Planter, samples
from tests.contract.wire import Caller
from tests.support.server import PASSWORD, Client, Server, running
from tests.system.browsing import Visits, accessible, chromium, go, visits
from tests.unit.configuration.test_models import GOOD, MODELLED, short

NTP = "datetime/ntp_servers"
CHANGES = "async () => (await (await fetch('/api/transaction/changes')).json()).changes"
PAGES = (
    "", "sessions", "alerts", "time", "network", "settings", f"settings/{NTP}", "rights", "certificates", "review", "proposals",
    "history", "backups", "cluster", "drift", "support", "account",
)  # fmt: skip

LOG_OUT = (
    "async () => { const me = await (await fetch('/api/user/info')).json();"
    " await fetch('/api/authentication', {method: 'DELETE', headers: {'X-Token': me.body.token}}); }"
)


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


def writable(reader: Client) -> list[str]:
    """The paths of everything that can be written: settings, and the first object of each collection."""
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
    return paths


def planted(server: Server, page: Page) -> list[str]:
    """Make an object in each collection, in the transaction of a browser; returns what can be written then."""
    caller = Caller(server)
    caller.cookie = next(str(one.get("value")) for one in page.context.cookies() if one.get("name") == "session_id")
    planter = Planter(caller)
    for endpoint in MODELLED:
        if isinstance(endpoint.node, Collection) and not caller.get(endpoint.path).json["items"]:
            caller.post(endpoint.path, planter.plant(endpoint, GOOD[short(endpoint)])).ok(201)
    reader = server.client()
    reader.http.cookies.set("session_id", caller.cookie, domain="127.0.0.1")
    caller.close()
    return writable(reader)


def open_setting(page: Page, path: str) -> None:
    """Go to the page of a setting, and wait until that of an earlier one has left."""
    go(page, f"settings/{path.removeprefix('/api/configuration/')}")
    expect(page.get_by_role("link", name="Who set this")).to_have_attribute(
        "href", re.compile(re.escape(quote(path, safe="")) + "$")
    )


def sent(page: Page, path: str) -> Response:
    """Stage what the page shows; returns the answer."""
    with page.expect_response(lambda answer: answer.request.method == "PUT" and answer.url.endswith(path)) as told:
        page.get_by_role("button", name="Stage the change").click()
    return told.value


def test_every_form_sends_back_what_it_got_and_shows_a_mistake_at_its_field(server: Server, visit: Visits) -> None:
    page = visit("settings")
    expect(page.get_by_role("tree")).to_be_visible()
    paths = planted(server, page)
    endpoints = {endpoint.path for endpoint, _ in samples()}
    assert {path if path in endpoints else path.rpartition("/")[0] for path in paths} == endpoints
    before = page.evaluate(CHANGES)
    told_at: list[str] = []
    for path in paths:
        open_setting(page, path)
        answer = sent(page, path)
        assert answer.ok, (path, answer.text())
        fields = page.locator("form.pf-v6-c-form").locator("input[type=text], textarea")
        field = fields.and_(page.locator("[id^=field]:enabled")).first
        if field.count():
            # No text may have this character, and no number, address or name is made of it.
            field.fill("\x07")
            sent(page, path)
            expect(page.locator(f"[id='{field.get_attribute('id')}-help'] .pf-m-error").first).to_be_visible()
            page.get_by_role("button", name="Undo my edits").click()
            told_at.append(path)
        # The other form of the same: as it is, and with something that is wrong everywhere.
        page.locator("#as-json").click()
        answer = sent(page, path)
        assert answer.ok, (path, answer.text())
        page.get_by_role("textbox", name="JSON").fill('[["\\u0007"]]')
        refused = sent(page, path)
        assert refused.status == 400, path
        message = refused.json()["error"]["details"]["errors"][0]["message"]
        expect(page.get_by_role("listitem").filter(has_text=message).first).to_be_visible()
    assert len(told_at) > len(paths) // 2
    assert page.evaluate(CHANGES) == before


def test_an_account_sees_and_can_do_only_what_it_may(server: Server, visit: Visits) -> None:
    root = "/api/configuration"
    admin = server.login()
    admin.post("/api/transaction")
    secret = admin.post(f"{root}/passwords", {"plain": PASSWORD}).json()["key"]
    member = admin.post(f"{root}/aaa/local_database/users", {"name": "few", "password": secret}).json()["key"]
    admin.post(f"{root}/aaa/local_database/groups", {"name": "few", "members": [member]})
    lines = admin.body(f"{root}/aaa/acls")
    reading = {"group": "few", "objects": ["/special/basic"], "permission": "read"}
    writing = {"group": "few", "objects": [f"{root}/datetime"], "permission": "write"}
    admin.put(f"{root}/aaa/acls", [*lines, reading, writing])
    assert admin.commit().status_code == 200

    few = server.login("few")
    page = visit("settings", user="few")
    for path in writable(admin):
        body = few.get(path)
        stage = page.get_by_role("button", name="Stage the change")
        if body.status_code == 403:
            go(page, f"settings/{path.removeprefix(root + '/')}")
            expect(page.get_by_text("Your account has no right to see this.")).to_be_visible()
            expect(stage).to_have_count(0)
            continue
        open_setting(page, path)
        may = few.put(path, body.json()["body"]).status_code == 200
        expect(page.get_by_text("Your account may read this, not change it.")).to_have_count(0 if may else 1)
        expect(stage).to_have_count(1 if may else 0)
    few.delete("/api/transaction")
    for path in PAGES:
        go(page, path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("progressbar", name="Loading")).to_have_count(0)
        if not path.startswith("settings"):
            for forbidden in ("Back up now", "Put the host back", "Go back to this", "Begin a cluster", "Restore"):
                expect(page.get_by_role("button", name=forbidden)).to_have_count(0)
    links = page.get_by_role("navigation").get_by_role("link")
    expect(links.filter(has_text="Time")).to_have_count(1)
    expect(links.filter(has_text="Backups")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_on_wide_and_narrow_screens(visit: Visits, scheme: str) -> None:
    # Without motion: a colour that is on its way to another one is none to be judged.
    page = visit(color_scheme=scheme, reduced_motion="reduce")
    found, before = {}, ""
    for path in PAGES:
        section, title = path.partition("/")[0], page.title()
        go(page, path)
        if section != before:
            # Until then it is the page before that would be judged.
            expect(page).not_to_have_title(title)
        before = section
        for width in (3840, 1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(page.get_by_role("progressbar", name="Loading")).to_have_count(0)
            if width != 3840 and (violations := accessible(page)):
                found[path, width] = violations
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width, path
    assert found == {}


def test_the_end_of_the_login_session_leaves_what_was_typed(server: Server, visit: Visits) -> None:
    page = visit(f"settings/{NTP}")
    field = page.get_by_label("Value")
    field.fill("typed.example.org")
    page.evaluate(LOG_OUT)
    expect(page.get_by_text("Your login session has ended")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your login session has ended")).to_have_count(0)
    expect(field).to_have_value("typed.example.org")
    page.get_by_role("button", name="Stage the change").click()
    expect(page.get_by_text("1 change is not in effect yet")).to_be_visible()


def test_another_account_finds_nothing_of_the_one_before(server: Server, visit: Visits) -> None:
    admin = server.login()
    admin.post("/api/transaction")
    secret = admin.post("/api/configuration/passwords", {"plain": PASSWORD}).json()["key"]
    admin.post("/api/configuration/aaa/local_database/users", {"name": "after", "password": secret})
    assert admin.commit().status_code == 200
    page = visit(f"settings/{NTP}")
    page.get_by_label("Value").first.fill("typed.example.org")
    page.evaluate(LOG_OUT)
    expect(page.get_by_text("Your login session has ended")).to_be_visible()
    page.get_by_label("User name").fill("after")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="after", exact=True)).to_be_visible()
    expect(page.get_by_label("Value")).to_have_count(0)
    assert page.url.endswith("/console/")


def test_a_login_in_one_tab_counts_in_the_others(visit: Visits) -> None:
    first = visit("time")
    other = first.context.new_page()
    other.goto(f"/console/settings/{NTP}")
    other.get_by_label("Value").first.fill("other.example.org")
    first.evaluate(LOG_OUT)
    expect(first.get_by_text("Your login session has ended")).to_be_visible()
    expect(other.get_by_text("Your login session has ended")).to_be_visible()
    first.get_by_label("Password").fill(PASSWORD)
    first.keyboard.press("Enter")
    expect(other.get_by_text("Your login session has ended")).to_have_count(0)
    other.get_by_role("button", name="Stage the change").click()
    expect(other.get_by_text("1 change is not in effect yet")).to_be_visible()


def test_twelve_tabs_share_one_stream(server: Server, visit: Visits) -> None:
    first = visit("time")
    tabs = [first, *(first.context.new_page() for _ in range(11))]
    for tab in tabs[1:]:
        tab.goto("/console/time", wait_until="commit")
    for tab in tabs[1:]:
        expect(tab.get_by_role("heading", name="Sources")).to_be_visible()
    admin = server.login()
    admin.post("/api/transaction")
    admin.put(f"/api/configuration/{NTP}", [{"selection": "fqdn", "value": "tabs.example.org"}])
    assert admin.put("/api/transaction", {"status": "commit", "confirm_seconds": 600}).status_code == 200
    for tab in tabs:
        expect(tab.get_by_text("by admin is on trial")).to_be_visible()
    admin.put("/api/transaction", {"status": "confirm"})


def test_an_idle_console_warns_and_does_not_keep_itself_alive(server: Server, visit: Visits) -> None:
    settings = "/api/configuration/management/webinterface"
    page = visit("drift")
    admin = server.login()
    admin.post("/api/transaction")
    admin.put(settings, {**admin.body(settings), "timeout": 1})
    assert admin.commit().status_code == 200
    expect(page.get_by_text("Your login session is about to end")).to_be_visible()
    page.get_by_role("button", name="Stay logged in").click()
    # News of the host make the page ask again, which does not count as use once nobody touched it for ten seconds.
    page.wait_for_timeout(10_500)
    file = server.state / "root/etc/timezone"
    before = file.read_text()
    file.write_text("Asia/Tokyo\n")
    expect(page.get_by_text("file /etc/timezone")).to_be_visible()
    file.write_text(before)
    left = page.evaluate("async () => (await (await fetch('/api/info')).json()).meta.remaining_seconds")
    assert left < 50
    # When it ends the page says so, and what it shows stays.
    page.evaluate(LOG_OUT)
    expect(page.get_by_text("Your login session has ended")).to_be_visible()
    restored = server.login()
    restored.post("/api/transaction")
    restored.put(settings, {**restored.body(settings), "timeout": 10})
    assert restored.commit().status_code == 200


def test_the_first_settings_are_asked_before_the_first_login(browser: Browser, tmp_path: Path) -> None:
    waiting: dict[str, Any] = {"options": ("--setup", "wizard"), "environment": {"DOORWARD_ADMIN_PASSWORD": ""}}
    with running(tmp_path / "state", **waiting) as fresh, visits(browser, fresh) as visit:
        page = visit.anonymous()
        submit = page.get_by_role("button", name="Set up")
        expect(submit).to_be_disabled()
        page.get_by_label("Password of admin").fill("short")
        page.get_by_label("The password again").fill("short")
        page.get_by_label("Time zone").fill("Mars/Olympus")
        page.get_by_label("I accept the licence").check()
        assert accessible(page) == []
        submit.click()
        expect(page.locator("#setup-timezone-help")).not_to_be_empty()
        page.get_by_label("Time zone").fill("Asia/Seoul")
        page.get_by_label("Password of admin").fill(PASSWORD)
        page.get_by_label("The password again").fill(PASSWORD)
        submit.click()
        visit.log_in(page)
        assert fresh.login().body("/api/configuration/datetime/timezone") == "Asia/Seoul"
