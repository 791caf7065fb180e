"""Sessions in the web console: found by a word of them and replayed, followed while they run, locked and ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, Route, expect

from doorward.proxy.control.stamping import local_stamp
from doorward.recording.seals import Seal, signed
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.support.recorded import key_of, put_trail, row, shell, tell, trail
from tests.support.server import until
from tests.system.browsing import Visits, accessible, chromium, visits
from tests.system.served import Served, left_behind, served
from tests.system.ssh_support import run
from tests.system.sshd_support import ACCOUNT
from tests.unit.recording.trails import Key, identity, stamping_authority

RSA, CURVE, DAMAGED = 901, 902, 903
"""Sessions whose trails only an auditor opens, by a key of either kind; the last one's was changed."""

SEALED, RESEALED, BORROWED = 904, 905, 906
"""Sessions whose trails everybody may open, with a seal each: signed and stamped; the same, but somebody changed its time; with a
signature that is right, over a claim that came with it."""

AT = "2026-11-29T10:00:30Z"


@dataclass(frozen=True)
class Sealer:
    """Who signs and stamps seals."""

    signer: tuple[str, bytes, x509.Certificate, Key]
    authority: tuple[str, str]

    def sealed(self, number: int) -> bytes:
        """A trail with a seal."""

        def seal(frame: int, chain: bytes) -> list[Seal]:
            _, _, certificate, key = self.signer
            made = signed(frame, chain, AT, certificate, key)
            if number == BORROWED:
                builder = PKCS7SignatureBuilder().set_data(Seal(frame, "00" * 32, AT, b"").claim)
                options = [PKCS7Options.Binary, PKCS7Options.NoCerts]
                return [replace(made, signature=builder.add_signer(certificate, key, SHA256()).sign(Encoding.DER, options))]
            made = replace(made, stamp=local_stamp(made.claim, *self.authority))
            return [replace(made, at="2026-11-29T10:00:31Z") if number == RESEALED else made]

        return trail(shell(20), (), seal)


@pytest.fixture(scope="module")
def sealer() -> Sealer:
    return Sealer(identity("ec"), stamping_authority())


@pytest.fixture(scope="module")
def auditors() -> dict[str, tuple[str, bytes]]:
    """Certificates and private keys, in PEM."""
    return {kind: identity(kind)[:2] for kind in ("rsa", "ec")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, auditors: dict[str, tuple[str, bytes]], sealer: Sealer) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("console")
    with served(directory / "state", directory) as found:
        catalogue = SqliteCatalogue(found.server.state / "sessions.db")
        for number, kind in ((RSA, "rsa"), (CURVE, "ec"), (DAMAGED, "rsa")):
            made = trail(shell(20), [auditors[kind][0]])
            if number == DAMAGED:
                made = made[:-500] + bytes([made[-500] ^ 1]) + made[-499:]
            path = put_trail(found.server.state / "trails", key_of(number), made)
            tell(catalogue, row(number, trail=path, recipients=("ab" * 32,)))
        for number in (SEALED, RESEALED, BORROWED):
            path = put_trail(found.server.state / "trails", key_of(number), sealer.sealed(number))
            tell(catalogue, row(number, trail=path))
        catalogue.close()
        yield found
    assert left_behind(directory / "state") == []


@pytest.fixture(scope="module")
def browser(site: Served) -> Iterator[Browser]:
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


def test_sessions_are_filtered_by_who_where_when_and_how_they_ended(site: Served, visit: Visits) -> None:
    copied = site.cli.home / "copied.txt"
    copied.write_text("copied")
    assert run([*site.command("scp"), str(copied), "127.0.0.1:copied.txt"], env=site.environment()).returncode == 0
    key, admin = site.last(), site.server.login()
    until(lambda: not admin.body(f"/api/audit/sessions/{key}")["active"], what="the end of the session")
    page = visit("sessions")
    row = page.get_by_role("grid", name="Search").get_by_role("row").filter(has=page.locator(f"a[href*={key}]"))
    for label, text in (("User", f"{ACCOUNT[:3]}*"), ("Target", "127.0.0.1")):
        page.get_by_label(label, exact=True).fill(text)
    for label, choice in (("Protocol", "SSH"), ("Verdict", "Accepted"), ("When", "Last hour")):
        page.get_by_label(label, exact=True).select_option(choice)
    expect(page.get_by_label("Begun after")).to_have_count(0)
    page.get_by_role("button", name="Search").click()
    # The filters stand in the address, so that a link shows the same.
    expect(page).to_have_url(re.compile("since=1h"))
    page.reload()
    expect(row).to_contain_text(ACCOUNT)
    # A session that copied a file shows it.
    row.get_by_role("link", name="Replay").click()
    page.get_by_role("button", name="Look for files that were copied").click()
    expect(page.get_by_role("listitem").filter(has_text="upload: copied.txt")).to_be_visible()
    page.go_back()
    page.get_by_label("Verdict", exact=True).select_option("Login failed")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No session matches")).to_be_visible()


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
        # What was before is shown when somebody asks for it, and that is written down.
        page.get_by_role("link", name="From the beginning").click()
        _screen(page, "here-42")
        opened.types("clear; echo then-$((6*7))")
        _screen(page, "then-42")
        assert site.server.login().get(f"/api/audit/sessions/{key}/trail_downloads").json()["items"]
        page.go_back()
        page.go_back()
        page.get_by_role("button", name="End:").click()
        page.get_by_placeholder("Reason").fill("enough")
        page.get_by_role("dialog").get_by_role("button", name="End").click()
        assert opened.ended().code != 0
    expect(page.get_by_text("No session runs")).to_be_visible()


def _pick(page: Page, pem: bytes, passphrase: str = "") -> None:
    """Open what is encrypted with a private key."""
    page.locator("#key-file").set_input_files({"buffer": pem, "mimeType": "application/x-pem-file", "name": "auditor.pem"})
    page.get_by_label("Passphrase").fill(passphrase)
    page.get_by_role("button", name="Open the recording").click()


def test_what_only_an_auditor_may_see_is_opened_in_the_browser(
    site: Served, visit: Visits, auditors: dict[str, tuple[str, bytes]]
) -> None:
    page = visit("sessions")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url} {request.post_data or ''}"))
    page.goto(f"/console/replay.html?session={key_of(RSA)}&at=15")
    expect(page.get_by_role("heading", name="This recording is encrypted")).to_be_visible()
    assert accessible(page) == []
    told = page.get_by_role("alert")
    _pick(page, b"no key")
    expect(told).to_contain_text("no private key")
    _pick(page, auditors["ec"][1])
    expect(told).to_contain_text("This key does not open the recording.")
    loaded = load_pem_private_key(auditors["rsa"][1], None)
    _pick(page, loaded.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    expect(told).to_contain_text("openssl pkcs8 -topk8")
    locked = loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    _pick(page, locked)
    expect(told).to_contain_text("type its passphrase")
    _pick(page, locked, "open barley")
    expect(told).to_contain_text("The passphrase does not open the key.")
    _pick(page, locked, "open sesame")
    expect(page.get_by_text("frames are in order, up to 0:00:20.")).to_be_visible()
    expect(page.get_by_text("There is no seal")).to_be_visible()
    page.locator(".ap-player").click()
    _screen(page, "second 1")
    expect(page.get_by_label("Private key")).to_be_hidden()
    assert accessible(page) == []
    # Nothing but the trail was asked for, and nothing was sent.
    assert {line.split()[0] for line in sent} == {"GET"}
    assert not any("sesame" in line or "PRIVATE" in line for line in sent)

    page.goto(f"/console/replay.html?session={key_of(CURVE)}")
    _pick(page, auditors["ec"][1])
    expect(page.get_by_text("frames are in order, up to 0:00:20.")).to_be_visible()
    page.goto(f"/console/replay.html?session={key_of(DAMAGED)}")
    _pick(page, auditors["rsa"][1])
    expect(page.get_by_text("Damaged: frame")).to_be_visible()
    page.locator(".ap-player").click()
    _screen(page, "second 0")


def test_a_recording_on_its_way_from_the_archive_is_awaited(visit: Visits) -> None:
    page = visit("sessions")
    refused = {"details": {"code": "fetching", "retry_after": 1}, "message": "It is on its way.", "type": "ServiceUnavailable"}
    asked: list[str] = []

    def not_yet(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) < 3:
            route.fulfill(status=503, json={"error": refused}, headers={"Retry-After": "1"})
        elif len(asked) == 3:
            route.abort()
        else:
            route.continue_()

    page.route(re.compile(f"{key_of(SEALED)}/segments$"), not_yet)
    page.goto(f"/console/replay.html?session={key_of(SEALED)}")
    expect(page.get_by_role("status").filter(has_text="on its way from the archive")).to_be_visible()
    expect(page.get_by_role("progressbar", name="on its way from the archive")).to_be_visible()
    assert accessible(page) == []
    # Where nobody answers at all, the page says so, and what to do.
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)
    parts: list[str] = []
    page.on("request", lambda request: parts.append(request.url) if f"{key_of(SEALED)}/segments/" in request.url else None)
    page.get_by_role("button", name="Try again").click()
    page.locator(".ap-player").click()
    _screen(page, "second 0")
    assert len(asked) == 4, "the player has the index that the page had"
    assert len(parts) == 1, "and the segment that came meanwhile"


def _prove(page: Page, *, signers: str = "", authorities: str = "") -> None:
    """Have a recording proven with some certificates."""
    page.locator("#prove").click()
    for field, text in (("#key-signers", signers), ("#key-authorities", authorities)):
        files = [{"buffer": text.encode(), "mimeType": "application/x-pem-file", "name": "c.pem"}] if text else []
        page.locator(field).set_input_files(files)  # type: ignore[arg-type]
    page.locator("#key-open").click()


def test_seals_are_checked_in_the_browser_by_whom_the_reader_trusts(visit: Visits, sealer: Sealer) -> None:
    page = visit("sessions")
    own, authority = sealer.signer[0], sealer.authority[0]
    page.goto(f"/console/replay.html?session={key_of(SEALED)}")
    page.locator("#prove").click()
    expect(page.get_by_label("Private key")).to_be_hidden()
    assert accessible(page) == []
    page.goto(f"/console/replay.html?session={key_of(SEALED)}")
    verdict = page.locator("#verdict")
    _prove(page)
    expect(verdict).to_contain_text("1 seal fits its place, but who made it was not checked")
    _prove(page, signers="no certificate")
    expect(page.get_by_role("alert")).to_contain_text("holds none in PEM")
    page.reload()
    _prove(page, signers=own, authorities=authority)
    expect(verdict).to_contain_text("1 seal holds by the certificates that you picked")
    expect(verdict).to_contain_text("1 of them has a time stamp that is right.")
    expect(verdict).to_contain_text("Whether a certificate was revoked is not checked")
    for others in ({"signers": identity("ec")[0]}, {"authorities": stamping_authority()[0]}):
        _prove(page, **others)
        expect(verdict).to_contain_text("1 of 1 seals do not hold")
    for number, trusted in ((RESEALED, {"signers": own}), (RESEALED, {"authorities": authority}), (BORROWED, {"signers": own})):
        page.goto(f"/console/replay.html?session={key_of(number)}")
        _prove(page, **trusted)
        expect(verdict).to_contain_text("1 of 1 seals do not hold")
