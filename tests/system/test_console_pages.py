"""What an administrator does on the pages of the web console that are made by hand, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.ports import free_port
from tests.support.server import PASSWORD, Client, Server, running, until
from tests.system.browsing import Visits, chromium, go, visits

NTP = "/api/configuration/datetime/ntp_servers"
ZONE = "/api/configuration/datetime/timezone"
USERS = "/api/configuration/aaa/local_database/users"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # A port of its own: it comes back there.
    state = tmp_path_factory.mktemp("console") / "state"
    with running(state, options=("--listen", f"127.0.0.1:{free_port()}")) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def visit(server: Server, browser: Browser) -> Iterator[Visits]:
    with visits(browser, server) as found:
        yield found


@pytest.fixture(scope="module")
def shared(visit: Visits) -> Page:
    """One page for all tests here; each of them goes where it wants to be."""
    return visit()


@pytest.fixture
def page(shared: Page) -> Page:
    discard(shared)
    return shared


def discard(page: Page) -> None:
    """Forget what an earlier test left in the transaction."""
    page.evaluate(
        "async () => { const me = await (await fetch('/api/user/info')).json();"
        " await fetch('/api/transaction', {method: 'DELETE', headers: {'X-Token': me.body.token}}); }"
    )


def stage(page: Page, method: str, path: str, body: object = None) -> str:
    """Write into the transaction of the browser; returns the key of what was made."""
    told = page.evaluate(
        """async ([method, path, body]) => {
            const me = await (await fetch('/api/user/info')).json();
            const headers = {'X-Token': me.body.token, 'Content-Type': 'application/json'};
            await fetch('/api/transaction', {method: 'POST', headers, body: ''});
            const answer = await fetch(path, {method, headers, body: body === null ? undefined : JSON.stringify(body)});
            return [answer.ok, await answer.json()];
        }""",
        [method, path, body],
    )
    assert told[0], told[1]
    return str(told[1].get("key", ""))


def ip(last: int) -> dict[str, str]:
    return {"selection": "ip", "value": f"127.0.4.{last}"}


def committed(client: Client) -> None:
    answer = client.commit()
    assert answer.status_code == 200, answer.text


def test_conflicts_are_solved_place_by_place_and_nothing_is_lost(server: Server, page: Page) -> None:
    other = server.login()
    other.post("/api/transaction")
    gone, kept = (other.post(USERS, {"name": name}).json()["key"] for name in ("gone", "kept"))
    committed(other)
    stage(page, "PUT", NTP, [ip(1)])
    stage(page, "PUT", ZONE, "Asia/Seoul")
    stage(page, "PUT", f"{USERS}/{gone}", {"name": "mine"})
    stage(page, "DELETE", f"{USERS}/{kept}")
    added = stage(page, "POST", USERS, {"name": "added"})
    other.put(NTP, [ip(2)])
    other.delete(f"{USERS}/{gone}")
    other.put(f"{USERS}/{kept}", {"name": "theirs"})
    committed(other)

    # Those that the plan knows stand above. Whoever commits all the same, far below them, is brought there.
    page.set_viewport_size({"width": 1280, "height": 480})
    go(page, "review")
    settle = page.get_by_role("button", name="Go on with these choices")
    expect(settle).to_be_disabled()
    title, commit = page.get_by_text("Changed by somebody else meanwhile"), page.get_by_role("button", name="Commit", exact=True)
    commit.scroll_into_view_if_needed()
    expect(title).not_to_be_in_viewport()
    commit.click()
    expect(title).to_be_in_viewport()
    page.set_viewport_size({"width": 1280, "height": 720})
    servers = page.get_by_role("radiogroup", name="NTP servers")
    expect(servers).to_contain_text("127.0.4.1")
    expect(servers).to_contain_text("127.0.4.2")
    expect(servers).to_contain_text("admin changed it in revision")
    servers.get_by_label("Keep mine").check()
    page.get_by_role("radiogroup", name="mine").get_by_label("Keep mine").check()
    page.get_by_role("radiogroup", name="theirs").get_by_label("Keep theirs").check()
    settle.click()
    expect(title).to_have_count(0)
    expect(page.get_by_text("4 changes are not in effect yet")).to_be_visible()
    commit.click()
    expect(page.get_by_text("is in effect.")).to_be_visible()

    assert other.body(NTP) == [ip(1)]
    assert other.body(ZONE) == "Asia/Seoul"
    names = {item["key"]: item["body"]["name"] for item in other.get(USERS).json()["items"]}
    assert (names[gone], names[kept], names[added]) == ("mine", "theirs", "added")


def test_the_history_tells_who_set_a_place_compares_and_goes_back(server: Server, page: Page) -> None:
    other = server.login()
    before = other.body(ZONE)
    for zone in ("Asia/Amman", "Asia/Aden"):
        other.post("/api/transaction")
        other.put(ZONE, zone)
        assert other.commit(f"to {zone}").status_code == 200
    go(page, "settings/datetime/timezone")
    page.get_by_role("link", name="Who set this").click()
    expect(page.get_by_text("What changed Date and time")).to_be_visible()
    rows = page.get_by_role("row")
    expect(rows.filter(has_text="to Asia/Aden")).to_be_visible()
    newest = int(other.get("/api/revisions?limit=1").json()["items"][0]["key"])
    page.get_by_label("From revision").fill(str(newest - 2))
    page.get_by_label("To revision").fill(str(newest))
    page.get_by_role("button", name="Compare").click()
    difference = rows.filter(has_text="Time zone")
    expect(difference).to_contain_text(before)
    expect(difference).to_contain_text("Asia/Aden")

    # One place of one revision goes back.
    go(page, "history")
    rows.filter(has_text="to Asia/Aden").get_by_role("button", name="What it changed").click()
    page.get_by_role("button", name=f"Undo this: {ZONE}").click()
    expect(page.get_by_role("heading", name="Review changes")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Time zone")).to_contain_text("Asia/Amman")


def test_drift_is_shown_put_back_and_taken_over(server: Server, page: Page) -> None:
    go(page, "drift")
    expect(page.get_by_text("The host is as configured")).to_be_visible()
    file = server.state / "root/etc/timezone"
    before = file.read_text()
    file.write_text("Asia/Tokyo\n")
    # It appears by itself.
    expect(page.get_by_role("heading", name="file /etc/timezone")).to_be_visible()
    expect(page.get_by_text("+Asia/Tokyo")).to_be_visible()
    page.get_by_role("button", name="Put the host back").click()
    page.get_by_role("dialog").get_by_role("button", name="Put the host back").click()
    expect(page.get_by_text("The host was put back.")).to_be_visible()
    expect(page.get_by_text("The host is as configured")).to_be_visible()
    assert file.read_text() == before

    link = server.state / "root/etc/localtime"
    link.unlink()
    link.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    page.get_by_role("button", name="Take over what was found").click()
    page.get_by_role("main").get_by_role("button", name="Review").last.click()
    expect(page.get_by_role("row").filter(has_text="Time zone")).to_contain_text("Asia/Tokyo")
    discard(page)
    link.unlink()
    link.symlink_to(f"/usr/share/zoneinfo/{server.login().body(ZONE)}")


def test_a_support_bundle_is_made_fetched_and_removed(page: Page) -> None:
    go(page, "support")
    page.get_by_role("button", name="Make a bundle").click()
    link = page.get_by_role("link", name="Download")
    with page.expect_download() as fetched:
        link.click()
    assert fetched.value.path().read_bytes()[:2] == b"\x1f\x8b"
    page.get_by_role("button", name="Remove:").click()
    expect(page.get_by_text("No bundle")).to_be_visible()


def test_certificates_are_shown_with_their_use_and_their_end(page: Page) -> None:
    go(page, "certificates")
    rows = page.get_by_role("row").filter(has_text="days left")
    expect(rows).to_have_count(3)
    authority = rows.filter(has_text="itself")
    expect(authority).to_contain_text("CA")
    expect(rows.filter(has_text="← CN=Doorward CA").first).to_contain_text("days left")


def test_the_network_is_shown_with_what_uses_its_addresses(page: Page) -> None:
    go(page, "network")
    expect(page.get_by_text("Host name", exact=True)).to_be_visible()
    address = page.get_by_role("row").filter(has_text="127.0.0.1/8")
    expect(address).to_contain_text("untagged")
    expect(address.get_by_role("link").first).to_have_attribute("href", re.compile("/console/settings/"))
    expect(page.get_by_text("No static route")).to_be_visible()


def test_a_list_is_filled_and_ordered_with_the_keyboard_alone(page: Page) -> None:
    go(page, "settings/datetime/ntp_servers")
    expect(page.get_by_label("Value")).to_be_visible()
    page.locator("body").focus()
    _tab_to(page, "Skip to content")
    _tab_to(page, "Add an entry: NTP servers", "Enter")
    expect(page.get_by_label("Value")).to_have_count(2)
    page.get_by_label("Value").last.focus()
    page.keyboard.type("first.example.org")
    _tab_to(page, "Move up: first.example.org", "Enter")
    expect(page.get_by_label("Value").first).to_have_value("first.example.org")
    _tab_to(page, "Stage the change", "Enter")
    expect(page.get_by_text("1 change is not in effect yet")).to_be_visible()
    # The same change for a terminal.
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _tab_to(page, "Copy as doorward", "Enter")
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert "first.example.org" in page.evaluate("() => navigator.clipboard.readText()")


def _tab_to(page: Page, name: str, key: str = "") -> None:
    """Go on with Tab until something of this name has the focus, then press a key."""
    wanted = page.get_by_role("button", name=name, exact=True).or_(page.get_by_role("link", name=name, exact=True)).first
    for _ in range(200):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            break
    expect(wanted).to_be_focused()
    if key:
        page.keyboard.press(key)


def test_mail_settings_are_tried_and_say_what_is_wrong(page: Page) -> None:
    go(page, "alerts")
    expect(page.get_by_role("row").filter(has_text="Backup failed")).to_contain_text("yes")
    page.get_by_role("button", name="Send a mail").click()
    expect(page.get_by_role("main").get_by_text("mail", exact=False).last).to_be_visible()
    expect(page.locator(".pf-m-danger").first).to_be_visible()


def test_a_node_begins_a_cluster_or_shows_its_code_to_join_one(page: Page) -> None:
    go(page, "cluster")
    expect(page.get_by_text("This node stands alone")).to_be_visible()
    page.get_by_label("Central Management address").fill("not an address")
    page.get_by_role("button", name="Ask to join a cluster").click()
    expect(page.locator('[id="field.central_management_address-help"]')).to_contain_text("address")


def test_a_token_is_made_shown_once_and_ended(server: Server, page: Page) -> None:
    go(page, "account")
    page.get_by_role("button", name="Make a token").click()
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator('[id="field.name-help"]')).to_contain_text("character")
    page.get_by_label("Name").fill("of a program")
    page.get_by_role("button", name="Make a token").click()
    token = page.get_by_label("Token", exact=True)
    expect(token).to_have_value(re.compile("^dw_"))
    bearer = {"Authorization": f"Bearer {token.input_value()}"}
    assert server.client().get("/api/user/info", headers=bearer).status_code == 200
    page.get_by_role("button", name="End it: of a program").click()
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(page.get_by_text("No token")).to_be_visible()
    assert server.client().get("/api/user/info", headers=bearer).status_code == 401


def test_objects_are_added_with_a_secret_that_is_never_shown(server: Server, page: Page) -> None:
    go(page, "settings/aaa/local_database/users")
    page.get_by_role("button", name="Add to").click()
    form = page.locator("form")
    form.get_by_label("Name").fill("clicked")
    form.get_by_role("button", name="Make one: Password").click()
    form.get_by_role("button", name="Generate").click()
    form.get_by_role("button", name="Store").click()
    expect(form.get_by_text("Stored. Stage the change to use it.")).to_be_visible()
    form.get_by_role("button", name="Stage the change").click()
    expect(page.get_by_role("link", name="clicked")).to_be_visible()
    go(page, "review")
    page.get_by_role("button", name="Commit", exact=True).click()
    expect(page.get_by_text("is in effect.")).to_be_visible()
    made = next(item["body"] for item in server.login().get(USERS).json()["items"] if item["body"]["name"] == "clicked")
    assert made["password"]


def test_a_target_is_tried_step_by_step(server: Server, page: Page) -> None:
    other = server.login()
    other.post("/api/transaction")
    target = {"type": "nfs", "server": {"selection": "ip", "value": "127.0.4.9"}, "path": "/nothing"}
    made = other.post("/api/configuration/policies/backup_policies", {"name": "nowhere", "target": target})
    assert made.status_code == 201, made.text
    committed(other)
    go(page, "backups")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text("Connect: failed")).to_be_visible()


def test_an_archive_is_uploaded_and_a_dry_run_tells_what_it_would_change(server: Server, page: Page, tmp_path: Path) -> None:
    other = server.login()
    exported = other.post("/api/backup/exports", {"encryption": {"selection": "none"}}).json()["key"]
    archive = tmp_path / "node.config"
    archive.write_bytes(other.get(f"/api/backup/exports/{exported}/download").content)
    zone = "Asia/Amman" if other.body(ZONE) != "Asia/Amman" else "Asia/Aden"
    other.post("/api/transaction")
    other.put(ZONE, zone)
    committed(other)
    go(page, "backups")
    page.locator("#restore input[type=file]").set_input_files(archive)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("the uploaded file")).to_be_visible()
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("It can be restored. Nothing was changed.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Time zone")).to_contain_text(zone)
    assert other.body(ZONE) == zone


def test_the_server_is_killed_and_comes_back(server: Server, page: Page) -> None:
    go(page, "time")
    expect(page.get_by_role("heading", name="Sources")).to_be_visible()
    server.kill()
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    server.start()
    # Login sessions live in memory: the page says so, and goes on where it was.
    expect(page.get_by_text("Your login session has ended")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your login session has ended")).to_have_count(0)
    expect(page.get_by_text("The server does not answer.")).to_have_count(0)
    expect(page.get_by_role("heading", name="Sources")).to_be_visible()
    until(lambda: server.login().get("/api/info").status_code == 200)
