from __future__ import annotations

from typing import TYPE_CHECKING

import asyncssh
import pytest

from doorward.proxy import messages
from doorward.proxy.control import proofs, refusing
from tests.unit.proxy.control.site import ALICE_PASSWORD, CLIENT, IDENTIFIER, FakeWorker, Site, configured, play

if TYPE_CHECKING:
    from tests.unit.transaction.rig import Rig

USER = "alice@db1.example.com"


async def try_password(worker: FakeWorker, key: str, password: str, user: str = USER) -> messages.Decision:
    return await worker.ask(messages.Decision, messages.TryPassword, key, user=user, password=password)


def test_a_right_password_lets_in_once_the_row_is_kept(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        decision = await try_password(worker, key, ALICE_PASSWORD)
        assert (decision.outcome, decision.user) == ("accepted", "alice")
        row = site.catalogue.rows[key]
        assert (row.gateway_user, row.auth_method, row.number, row.policy) == ("alice", "password", 1, "linux")
        assert row.client.ip == CLIENT[0]
        assert "gw_auth_success" in site.bus.kinds()

    play(rig, scenario)


@pytest.mark.parametrize("user", [USER, "nobody@db1.example.com"])
def test_a_wrong_password_and_an_unknown_user_look_alike(rig: Rig, user: str) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        decision = await try_password(worker, key, "wrong", user)
        assert (decision.outcome, decision.message) == ("refused", "")
        assert decision.methods == ("public_key", "keyboard_interactive", "password")
        assert decision.pause <= 1.0
        assert not site.catalogue.rows
        assert site.bus.kinds() == ["gw_auth_failure"]

    play(rig, scenario)


def test_six_tries_are_all_there_are(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        outcomes = [(await try_password(worker, key, f"wrong {number}")).outcome for number in range(6)]
        assert outcomes == ["refused"] * 5 + ["end"]

    play(rig, scenario)


def test_too_many_failures_block_the_address(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusing, "SECONDS", 0.1)
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        for _ in range(100):
            site.guard.failed(CLIENT[0])
        decision = await try_password(worker, key, ALICE_PASSWORD)
        assert decision.outcome == "end"
        assert not site.catalogue.rows
        await site.connect()
        assert "connection_denied" in site.bus.kinds()

    play(rig, scenario)


def test_prompts_ask_for_the_password(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        prompts = await worker.ask(messages.Prompts, messages.TryPrompts, key, user=USER)
        assert prompts.prompts == (("Password: ", False),)
        decision = await worker.ask(messages.Decision, messages.TryPrompts, key, user=USER, answers=(ALICE_PASSWORD,))
        assert decision.outcome == "accepted"

    play(rig, scenario)


def test_an_answer_to_no_question_is_none(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        decision = await worker.ask(messages.Decision, messages.TryPrompts, key, user=USER, answers=(ALICE_PASSWORD,))
        assert decision.outcome == "refused"

    play(rig, scenario)


def test_the_user_can_not_change_in_the_middle(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        await try_password(worker, key, "wrong", "bob@db1.example.com")
        assert (await try_password(worker, key, ALICE_PASSWORD)).outcome == "end"

    play(rig, scenario)


async def try_key(
    worker: FakeWorker, key: str, private: asyncssh.SSHKey, algorithm: str, blob: bytes, data: bytes | None = None
) -> str:
    claim = proofs.claim(IDENTIFIER, USER, "ssh-connection", algorithm, blob)
    plain = algorithm.removesuffix("-cert-v01@openssh.com").encode()
    signature = private.sign(data if data is not None else claim, plain)
    decision = await worker.ask(
        messages.Decision, messages.TryKey, key, user=USER, algorithm=algorithm, key=blob, signature=signature
    )
    return decision.outcome


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("ssh-ed25519", "ssh-ed25519"), ("ssh-rsa", "rsa-sha2-512"), ("ecdsa-sha2-nistp256",) * 2]
)
def test_a_key_of_the_user_signs_for_this_session_only(rig: Rig, kind: str, algorithm: str) -> None:
    private = asyncssh.generate_private_key(kind)
    configured(rig, user={"public_keys": [" ".join(private.export_public_key().decode().split()[:2])]})

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        blob = private.public_data
        offer = await worker.ask(messages.Decision, messages.TryKey, key, user=USER, algorithm=algorithm, key=blob)
        assert offer.outcome == "accepted"
        assert not site.catalogue.rows, "a key that was only shown lets nobody in"
        other = proofs.claim(b"\x08" * 32, USER, "ssh-connection", algorithm, blob)
        assert await try_key(worker, key, private, algorithm, blob, other) == "refused"
        assert await try_key(worker, key, private, algorithm, blob) == "accepted"
        assert site.catalogue.rows[key].auth_method == "public_key"

    play(rig, scenario)


def test_sha1_and_foreign_keys_prove_nothing(rig: Rig) -> None:
    private, other = asyncssh.generate_private_key("ssh-rsa"), asyncssh.generate_private_key("ssh-ed25519")
    configured(rig, user={"public_keys": [" ".join(private.export_public_key().decode().split()[:2])]})

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        assert await try_key(worker, key, private, "ssh-rsa", private.public_data) == "refused"
        assert await try_key(worker, key, other, "ssh-ed25519", other.public_data) == "refused"
        offer = await worker.ask(messages.Decision, messages.TryKey, key, user=USER, algorithm="ssh-ed25519", key=b"\x00" * 20)
        assert offer.outcome == "refused"

    play(rig, scenario)


def certificates(authority: asyncssh.SSHKey) -> dict[str, object]:
    line = " ".join(authority.export_public_key().decode().split()[:2])
    return {
        "client": {
            "password": {"enabled": True}, "keyboard_interactive": {"enabled": False}, "public_key": {"enabled": False},
            "certificate": {"enabled": True, "authorities": [line]},
        }
    }  # fmt: skip


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        ({"principals": ["alice"]}, "accepted"),
        ({"principals": ["bob"]}, "refused"),
        ({"principals": []}, "refused"),
        ({"principals": ["alice"], "valid_before": 1000}, "refused"),
        ({"principals": ["alice"], "source_address": ["192.0.2.0/24"]}, "accepted"),
        ({"principals": ["alice"], "source_address": ["198.51.100.0/24"]}, "refused"),
        ({"principals": ["alice"], "force_command": "id"}, "refused"),
    ],
)
def test_certificates_are_held_to_what_they_say(rig: Rig, made: dict[str, object], outcome: str) -> None:
    authority, private = asyncssh.generate_private_key("ssh-rsa"), asyncssh.generate_private_key("ssh-ed25519")
    configured(rig, authentication=certificates(authority))
    certificate = authority.generate_user_certificate(private, "id", sig_alg="rsa-sha2-512", **made)  # type: ignore[arg-type]

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        name = "ssh-ed25519-cert-v01@openssh.com"
        assert await try_key(worker, key, private, name, certificate.public_data) == outcome

    play(rig, scenario)


def test_a_certificate_of_somebody_else_or_by_sha1_is_none(rig: Rig) -> None:
    authority, private = asyncssh.generate_private_key("ssh-rsa"), asyncssh.generate_private_key("ssh-ed25519")
    configured(rig, authentication=certificates(authority))
    foreign = asyncssh.generate_private_key("ssh-ed25519").generate_user_certificate(private, "id", principals=["alice"])
    weak = authority.generate_user_certificate(private, "id", principals=["alice"], sig_alg="ssh-rsa")

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        for certificate in (foreign, weak):
            name = "ssh-ed25519-cert-v01@openssh.com"
            assert await try_key(worker, key, private, name, certificate.public_data) == "refused"

    play(rig, scenario)


def test_methods_that_are_required_are_wanted_in_their_order(rig: Rig) -> None:
    private = asyncssh.generate_private_key("ssh-ed25519")
    line = " ".join(private.export_public_key().decode().split()[:2])
    configured(rig, user={"public_keys": [line]}, authentication={"require": [["public_key", "password"]]})

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        assert (await try_password(worker, key, ALICE_PASSWORD)).outcome == "refused"
        none = await worker.ask(messages.Decision, messages.TryNone, key, user=USER)
        assert none.methods == ("public_key",)
        assert await try_key(worker, key, private, "ssh-ed25519", private.public_data) == "partial"
        assert not site.catalogue.rows
        assert (await try_password(worker, key, ALICE_PASSWORD)).outcome == "accepted"
        assert site.catalogue.rows[key].auth_method == "public_key+password"

    play(rig, scenario)


def test_an_account_of_the_appliance_logs_in(rig: Rig) -> None:
    configured(rig, authentication={"backend": {"selection": "accounts"}})

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        user = "gu=ADMIN@root@db1.example.com"
        decision = await try_password(worker, key, "a password for admin", user)
        assert (decision.outcome, decision.user) == ("accepted", "admin")

    play(rig, scenario)


def test_without_a_row_nobody_comes_in(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        site.catalogue.is_full = True
        assert (await try_password(worker, key, ALICE_PASSWORD)).outcome == "end"
        assert "recording_failed" in site.bus.kinds()

    play(rig, scenario)


def test_a_key_of_an_account_lets_it_in(rig: Rig) -> None:
    private = asyncssh.generate_private_key("ssh-ed25519")
    candidate = rig.candidate()
    line = " ".join(private.export_public_key().decode().split()[:2])
    rig.post(candidate, "aaa/local_database/users", {"name": "carol", "password": None, "public_keys": [line]})
    rig.commit(candidate)
    configured(rig, authentication={"backend": {"selection": "accounts"}})

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        user = "gu=carol@root@db1.example.com"
        claim = proofs.claim(IDENTIFIER, user, "ssh-connection", "ssh-ed25519", private.public_data)
        decision = await worker.ask(
            messages.Decision, messages.TryKey, key, user=user, algorithm="ssh-ed25519", key=private.public_data,
            signature=private.sign(claim, b"ssh-ed25519"),
        )  # fmt: skip
        assert (decision.outcome, decision.user) == ("accepted", "carol")

    play(rig, scenario)


def test_names_are_told_without_what_a_terminal_acts_on(rig: Rig) -> None:
    """A name with line feeds and escape sequences would write lines of its own into logs and mails."""
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        user = "al\nice\x1b[2J\u202e@db1.example.com"
        await worker.ask(messages.Decision, messages.TryPassword, key, user=user, password="wrong")
        [(text, details)] = [(text, details) for name, text, details in site.bus.raised if name == "gw_auth_failure"]
        assert "al" in text
        for told in (text, *map(str, details.values())):
            assert told.isprintable()

    play(rig, scenario)
