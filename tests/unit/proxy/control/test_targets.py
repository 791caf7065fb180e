from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncssh
import pytest

from doorward.proxy import messages
from doorward.proxy.control import proofs
from doorward.sessions.host_keys import fingerprint
from doorward.sessions.rules import Relayed
from tests.unit.proxy.control.site import PORT, Site, configured, connected, eventually, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.transaction.rig import Rig

USER = "alice@db1.example.com"
TARGET_SESSION = b"\x09" * 32


def line_of(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def domains(*values: tuple[str, str, int | None]) -> dict[str, Any]:
    lines = [{"domain": {"selection": kind, "value": value}, "port": port} for kind, value, port in values]
    return {"server_address": {"selection": "inband", "domains": lines}}


async def target_of(site: Site, user: str = USER, text: str = "") -> messages.TargetAnswer:
    worker = await site.first_worker()
    key = await site.logged_in(worker, user)
    return await worker.ask(messages.TargetAnswer, messages.FindTarget, key, user=user, method="password", text=text)


def test_the_target_is_an_address_and_the_row_has_it_before_it_is_told(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7", "10.0.0.8")
        worker = await site.worker()
        key, target = await site.targeted(worker, "alice@db1.example.com:2200")
        assert (target.error, target.addresses, target.port, target.user) == ("", ("10.0.0.7", "10.0.0.8"), 2200, "alice")
        assert target.offers == (Relayed.SAME_PASSWORD,)
        row = site.catalogue.rows[key]
        assert (row.server.ip, row.server.port, row.server.name, row.server_user) == (
            "10.0.0.7",
            2200,
            "db1.example.com",
            "alice",
        )

    play(rig, scenario)


@pytest.mark.parametrize("user", ["alice@db1.example.org", "alice@10.0.0.7", "alice@unknown.example.com"])
def test_what_the_policy_does_not_allow_is_no_target(rig: Rig, user: str) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.org"] = ("10.0.0.7",)
        target = await target_of(site, user)
        assert target.error
        assert not target.addresses
        assert site.bus.details("connection_denied")["session_id"].startswith("svc/")

    play(rig, scenario)


def test_own_addresses_and_the_gateway_itself_are_no_targets(rig: Rig) -> None:
    configured(rig, connection=domains(("address", "127.0.0.0/8", None), ("address", "127.0.0.1/32", None)))

    async def scenario(site: Site) -> None:
        assert (await target_of(site, "alice@127.0.0.2")).error
        assert (await target_of(site, f"alice@127.0.0.1:{PORT}")).error == "This server is the gateway itself."
        assert (await target_of(site, "alice@127.0.0.1:22")).error == ""

    play(rig, scenario)


def test_a_server_that_is_not_named_is_asked_for(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key = await site.logged_in(worker, "alice")
        asked = await worker.ask(messages.TargetAnswer, messages.FindTarget, key, user="alice", method="password")
        assert (asked.question, asked.error) == ("Server: ", "")
        found = await worker.ask(
            messages.TargetAnswer, messages.FindTarget, key, user="alice", method="password", text="db1.example.com"
        )
        assert found.addresses == ("10.0.0.7",)

    play(rig, scenario)


def test_the_name_server_and_the_suffixes_of_the_policy_are_used(rig: Rig) -> None:
    place = domains(("domain", "db1", None))
    place["server_address"] |= {"dns_server": "10.9.9.9", "dns_suffixes": ["corp.example"]}
    configured(rig, connection=place)

    async def scenario(site: Site) -> None:
        site.names.known["db1"] = ("10.0.0.7",)
        assert (await target_of(site, "alice@db1")).addresses == ("10.0.0.7",)
        assert site.names.asked == [("db1", "10.9.9.9", ("corp.example",))]

    play(rig, scenario)


def test_a_user_mapping_says_who_may_be_whom(rig: Rig) -> None:
    def mapping(candidate: Any) -> dict[str, Any]:
        rules = [{"gateway_users": ["alice"], "gateway_groups": [], "server_username": "oracle"}]
        return {"usermapping_policy": rig.post(candidate, "policies/usermapping_policies", {"name": "m", "rules": rules})}

    configured(rig, more=mapping)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        for user, error in (("gu=alice@oracle@db1.example.com", False), ("gu=alice@root@db1.example.com", True)):
            key = await site.logged_in(worker, user)
            target = await worker.ask(messages.TargetAnswer, messages.FindTarget, key, user=user, method="password")
            assert bool(target.error) == error
        assert site.bus.details("user_mapping_failure")["gateway_user"] == "alice"

    play(rig, scenario)


async def judged(site: Site, key: asyncssh.SSHKey, address: str = "10.0.0.7") -> messages.Trusted:
    site.names.known["db1.example.com"] = ("10.0.0.7",)
    worker = await site.first_worker()
    session, _ = await site.targeted(worker)
    return await worker.ask(messages.Trusted, messages.JudgeHostKey, session, address=address, port=22, key=line_of(key))


def test_only_a_trusted_host_key_is_right(rig: Rig) -> None:
    configured(rig)
    right, wrong = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")

    async def scenario(site: Site) -> None:
        unknown = await judged(site, right)
        assert not unknown.trusted
        assert site.bus.details("ssh_host_key_mismatch")["expected"] == []
        site.host_keys.add("10.0.0.7", 22, line_of(right), "admin")
        assert (await judged(site, right)).trusted
        changed = await judged(site, wrong)
        assert not changed.trusted
        told = site.bus.details("ssh_host_key_mismatch")
        assert (told["shown"], told["expected"]) == (fingerprint(line_of(wrong)), [fingerprint(line_of(right))])

    play(rig, scenario)


def test_what_is_trusted_for_a_name_counts_alone(rig: Rig) -> None:
    """Whoever answers for names could lead it to a server of their own that is trusted under its address."""
    configured(rig)
    named, other = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ecdsa-sha2-nistp256")

    async def scenario(site: Site) -> None:
        site.host_keys.add("db1.example.com", 22, line_of(named), "admin")
        site.host_keys.add("10.0.0.7", 22, line_of(other), "admin")
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        assert (await target_of(site)).keys == (line_of(named),)
        assert not (await judged(site, other)).trusted
        assert site.bus.details("ssh_host_key_mismatch")["expected"] == [fingerprint(line_of(named))]
        assert (await judged(site, named)).trusted

    play(rig, scenario)


def test_each_of_several_addresses_has_keys_of_its_own(rig: Rig) -> None:
    configured(rig)
    first, second = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")

    async def scenario(site: Site) -> None:
        site.host_keys.add("10.0.0.7", 22, line_of(first), "admin")
        site.host_keys.add("10.0.0.8", 22, line_of(second), "admin")
        site.names.known["db1.example.com"] = ("10.0.0.7", "10.0.0.8")
        worker = await site.first_worker()
        session, target = await site.targeted(worker)
        assert target.keys == (line_of(first), line_of(second)), "both types of keys are good to ask for"
        for address, key, is_right in (("10.0.0.8", second, True), ("10.0.0.8", first, False), ("10.0.0.7", second, False)):
            told = await worker.ask(messages.Trusted, messages.JudgeHostKey, session, address=address, port=22, key=line_of(key))
            assert told.trusted is is_right, address

    play(rig, scenario)


def test_the_first_key_is_learned_where_the_policy_says_so_and_no_other_after_it(rig: Rig) -> None:
    keys = {"server_side_hostkeys": {"authorities": [], "plain_hostkey": {"check": "accept_first"}}}
    configured(rig, connection=keys, authentication={"relayed": [{"selection": "password_prompt"}]})
    first, second = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ecdsa-sha2-nistp256")

    async def scenario(site: Site) -> None:
        assert (await judged(site, first)).trusted
        [learned] = site.host_keys.all()
        assert learned.id == "ssh-ed25519-10.0.0.7:22"
        assert learned.by.startswith("svc/")
        assert site.bus.details("host_key_learned")["fingerprint"] == learned.fingerprint
        assert not (await judged(site, second)).trusted, "a key of another type is no new server"
        assert site.host_keys.all() == [learned]

    play(rig, scenario)


def private_key(rig: Rig) -> tuple[dict[str, Any], Any]:
    def more(candidate: Any) -> dict[str, Any]:
        key = rig.post(candidate, "private_keys", {"generate": {"selection": "ed25519"}})
        return {"authentication": {"relayed": [{"selection": "private_key", "key": key}]}}

    return {}, more


def claim_of(line: str, user: str = "alice", session: bytes = TARGET_SESSION, algorithm: str | None = None) -> bytes:
    kind, _ = line.split()
    blob = proofs.blob_of(line) if "cert" not in kind else asyncssh.import_certificate(line).public_data
    assert blob is not None
    return proofs.claim(session, user, "ssh-connection", algorithm or kind, blob)


def test_control_signs_with_a_key_that_never_leaves_it(rig: Rig) -> None:
    _, more = private_key(rig)
    configured(rig, more=more)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key, target = await site.targeted(worker)
        assert target.offers == (Relayed.PRIVATE_KEY,)
        found = await worker.ask(messages.CredentialAnswer, messages.WantCredential, key, way=Relayed.PRIVATE_KEY)
        [line] = found.public_keys
        assert found.password is None
        data = claim_of(line)
        answer = await worker.ask(
            messages.Signature, messages.WantSignature, key, public_key=line, algorithm="ssh-ed25519", data=data
        )
        assert asyncssh.import_public_key(line).verify(data, answer.signature)

    play(rig, scenario)


WRONG: dict[str, Callable[[str], dict[str, Any]]] = {
    "another user": lambda line: {"data": claim_of(line, user="root")},
    "the client's own connection": lambda line: {"data": claim_of(line, session=b"\x07" * 32)},
    "no session": lambda line: {"data": claim_of(line, session=b"short")},
    "too little": lambda line: {"data": claim_of(line)[:-1]},
    "too much": lambda line: {"data": claim_of(line) + b"\x00"},
    "no login": lambda line: {"data": b"\x00" * 64},
    "another algorithm": lambda line: {"data": claim_of(line, algorithm="rsa-sha2-512"), "algorithm": "rsa-sha2-512"},
    "another key": lambda line: {"data": claim_of(line), "public_key": line + "A"},
    "another service": lambda line: {"data": claim_of(line).replace(b"ssh-connection", b"ssh-userauth-x")},
}


def test_control_signs_nothing_but_the_login_of_the_session(rig: Rig) -> None:
    _, more = private_key(rig)
    configured(rig, more=more)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        for number, (name, wrong) in enumerate(WRONG.items()):
            worker = await site.worker(f"w{number}")
            key, _ = await site.targeted(worker)
            found = await worker.ask(messages.CredentialAnswer, messages.WantCredential, key, way=Relayed.PRIVATE_KEY)
            [line] = found.public_keys
            asked = {"public_key": line, "algorithm": "ssh-ed25519", **wrong(line)}
            worker.say(messages.WantSignature(session=key, ask=99, **asked))
            assert await worker.is_dropped(), name
            assert worker.name in site.control.workers.banned, name
            assert not any(isinstance(told, messages.Signature) for told in worker.told), name

    play(rig, scenario)


def test_a_certificate_is_made_for_the_session_and_its_user(rig: Rig) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")

    def more(candidate: Any) -> dict[str, Any]:
        key = rig.post(candidate, "private_keys", {"private_key": authority.export_private_key().decode()})
        return {"authentication": {"relayed": [{"selection": "certificate", "ca_key": key, "seconds": 60}]}}

    configured(rig, more=more)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key, _ = await site.targeted(worker)
        found = await worker.ask(messages.CredentialAnswer, messages.WantCredential, key, way=Relayed.CERTIFICATE)
        [line] = found.public_keys
        shown = proofs.read(line.split()[0], asyncssh.import_certificate(line).public_data)
        proofs.check_user_certificate(shown, "alice", "10.0.0.1", [line_of(authority)])
        data = claim_of(line)
        answer = await worker.ask(
            messages.Signature, messages.WantSignature, key, public_key=line, algorithm=line.split()[0], data=data
        )
        assert proofs.is_signed(shown, data, answer.signature)

    play(rig, scenario)


def stored(rig: Rig, host: str, user: str) -> Any:
    def more(candidate: Any) -> dict[str, Any]:
        password = rig.post(candidate, "passwords", {"plain": "a secret of the server"})
        line = {"host": host, "username": user, "password": password, "private_key": None}
        store = rig.post(candidate, "policies/credentialstores", {"name": "s", "selection": "local", "credentials": [line]})
        return {"credential_store": store, "authentication": {"relayed": [{"selection": "credential_store"}]}}

    return more


@pytest.mark.parametrize(
    ("host", "user", "password"),
    [
        ("10.0.0.0/24", "alice", "a secret of the server"),
        ("*.example.com", "alice", "a secret of the server"),
        ("10.0.0.7/32", "alice", None),  # one of the two addresses only
        ("10.0.0.0/24", "root", None),
    ],
)
def test_a_stored_password_is_for_its_server_and_user(rig: Rig, host: str, user: str, password: str | None) -> None:
    configured(rig, more=stored(rig, host, user))

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7", "10.0.0.8")
        worker = await site.worker()
        key, _ = await site.targeted(worker)
        found = await worker.ask(messages.CredentialAnswer, messages.WantCredential, key, way=Relayed.CREDENTIAL_STORE)
        assert found.password == password

    play(rig, scenario)


def test_a_stored_password_leaves_once(rig: Rig) -> None:
    configured(rig, more=stored(rig, "10.0.0.0/24", "alice"))

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key, _ = await site.targeted(worker)
        await worker.ask(messages.CredentialAnswer, messages.WantCredential, key, way=Relayed.CREDENTIAL_STORE)
        worker.say(messages.WantCredential(session=key, ask=99, way=Relayed.CREDENTIAL_STORE))
        assert await worker.is_dropped()

    play(rig, scenario)


def test_nothing_secret_is_given_once_the_session_is_connected(rig: Rig) -> None:
    configured(rig, more=stored(rig, "10.0.0.0/24", "alice"))

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key, target = await site.targeted(worker)
        worker.say(connected(key, target))
        await eventually(lambda: "session_started" in site.bus.kinds())
        worker.say(messages.WantCredential(session=key, ask=99, way=Relayed.CREDENTIAL_STORE))
        assert await worker.is_dropped()

    play(rig, scenario)


def test_an_error_of_ours_costs_one_login_not_the_worker(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client may lead to must not take the secrets and logins of all others on its worker away."""
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        with monkeypatch.context() as broken:
            broken.setattr(site.names, "addresses", None)
            target = await target_of(site)
        assert (target.error, target.addresses) == ("Internal error", ())
        assert (await target_of(site)).addresses == ("10.0.0.7",)

    play(rig, scenario)
