"""A backup that is set up, tried and run, and a node that joins a cluster: by clicking in the web console alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.members import Member
from tests.support.server import Server, running
from tests.system.backup_site import Storage, storage
from tests.system.browsing import accessible, chromium, go, visits
from tests.system.sshd_support import ACCOUNT


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Storage]:
    with storage(tmp_path) as found:
        yield found


def commit(page: Page) -> None:
    """Review what was staged, and have it take effect."""
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Commit", exact=True).click()
    expect(page.get_by_text("is in effect.")).to_be_visible()


def at_server(page: Page, prefix: str, kept: Storage) -> None:
    """Fill in where the server is: its address, its port."""
    page.locator(f"[id='{prefix}server.selection']").select_option(label="IP address")
    page.locator(f"[id='{prefix}server.value']").fill("127.0.0.1")
    page.locator(f"[id='{prefix}port']").fill(str(kept.sshd.port))


def test_a_backup_is_set_up_tried_and_run(browser: Browser, kept: Storage, tmp_path: Path) -> None:
    with running(tmp_path / "state") as server, visits(browser, server) as visit:
        page = visit("backups")
        expect(page.get_by_text("No backup was made yet")).to_be_visible()
        page.get_by_role("button", name="Ask a server for its keys").click()
        at_server(page, "field.", kept)
        page.get_by_role("button", name="Ask the server").click()
        host_key = page.get_by_role("textbox", name="Host key: ssh-ed25519").input_value()
        assert host_key == kept.sshd.host_key

        # The policy is made where it is referred to, and its key where that is; the other form waits below.
        page.get_by_role("link", name="System backup").click()
        page.get_by_role("button", name="Make one: Backup policy").click()
        form = page.get_by_role("dialog")
        form.get_by_role("textbox", name="Name", exact=True).fill("nightly")
        at_server(page, "made.target.", kept)
        form.get_by_role("textbox", name="User name").fill(ACCOUNT)
        form.get_by_role("textbox", name="Path", exact=True).fill(str(kept.path))
        form.get_by_role("button", name="Make one: Authentication key").click()
        form.get_by_role("button", name="Generate").click()
        public_key = form.get_by_role("textbox", name="Public key, for the other side").input_value()
        form.get_by_role("button", name="Add an entry: Server host keys").click()
        form.get_by_role("textbox", name="1.").fill(host_key)
        assert accessible(page) == []
        form.get_by_role("button", name="Stage the change").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("combobox", name="Backup policy").locator("option:checked")).to_have_text("nightly")
        page.get_by_role("button", name="Stage the change").click()
        commit(page)

        kept.sshd.authorize(public_key)
        go(page, "backups")
        page.get_by_role("button", name="Try it").click()
        expect(page.get_by_text("The target works.")).to_be_visible()
        page.get_by_role("button", name="Back up now").click()
        expect(page.get_by_role("grid", name="Runs").get_by_role("row").filter(has_text="succeeded")).to_be_visible()
        assert kept.names()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Two nodes whose interfaces for the cluster are open."""
    found = [Member(tmp_path / name, address) for name, address in (("central", "127.0.0.1"), ("node", "127.0.0.2"))]
    try:
        for member in found:
            member.start()
            member.enable()
        yield found[0].server, found[1].server
    finally:
        for member in found:
            if member.server.process is not None:
                member.server.stop()


def test_a_node_joins_a_cluster_and_is_removed_from_it(browser: Browser, pair: tuple[Server, Server]) -> None:
    with visits(browser, pair[0]) as to_central, visits(browser, pair[1]) as to_node:
        central, node = to_central("cluster"), to_node("cluster")
        central.get_by_role("button", name="Begin a cluster").click()
        commit(central)

        node.get_by_label("Central Management address").fill("127.0.0.1")
        node.get_by_role("button", name="Ask to join a cluster").click()
        code = node.get_by_label("Carry this code over to Central Management").input_value()
        commit(node)
        go(node, "cluster")
        expect(node.get_by_text("This node has asked 127.0.0.1 to join")).to_be_visible()
        assert accessible(node) == []

        go(central, "cluster")
        central.get_by_label("Code of the node").fill(code)
        central.get_by_role("button", name="Accept a node").click()
        commit(central)
        go(central, "cluster")
        # What becomes of it is seen without a reload.
        row = central.get_by_role("row").filter(has_text="127.0.0.2")
        expect(row).to_contain_text("fine")
        assert accessible(central) == []
        expect(node.get_by_text("has asked")).to_have_count(0)

        row.get_by_role("button", name="Remove:").click()
        central.get_by_role("dialog").get_by_role("button", name="Remove").click()
        commit(central)
        go(central, "cluster")
        expect(central.get_by_role("row").filter(has_text="127.0.0.1")).to_be_visible()
        expect(row).to_have_count(0)
        # The node learns it by itself, and may begin or join another one.
        expect(node.get_by_text("This node stands alone")).to_be_visible()
        expect(node.get_by_role("button", name="Ask to join a cluster")).to_be_visible()
