"""From a connection policy to the plain rules of its sessions, and who takes a connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from doorward.configuration import x509
from doorward.configuration.datetime import timezone
from doorward.configuration.ssh import _algorithms
from doorward.recording.keys import opened, wrapped
from doorward.sessions.compiler import compile_rules
from doorward.sessions.ending import Entered, drops, policies_ended, why_over
from doorward.sessions.policies import connection_policy, decryption_keys, disk_limit, limits, matching
from doorward.sessions.rules import (
    AlgorithmLists,
    ChannelRule,
    ChannelType,
    ConnectionRules,
    End,
    Forward,
    GatewayMethods,
    Hours,
    Relayed,
)
from tests.unit.configuration.policies.checks import identity, password, private_key
from tests.unit.configuration.policies.samples import OFFICE
from tests.unit.configuration.ssh.checks import AUTHENTICATIONS, CONNECTIONS, OPTIONS, SETTINGS, add, switched_on
from tests.unit.configuration.ssh.samples import AUTHORITY, CHANNELS, SHORT
from tests.unit.configuration.ssh.samples import SETTINGS as OLD_DEVICES
from tests.unit.transaction.rig import USERS, Rig

if TYPE_CHECKING:
    from doorward.transaction.candidate import Candidate

DATABASE = "policies/user_databases"


def chosen(**policies: str) -> dict[str, Any]:
    return {"policies": {**SHORT["policies"], **policies}}


# Rules


def test_the_rules_of_the_built_in_policies(rig: Rig) -> None:
    candidate = switched_on(rig)
    key = add(rig, candidate)
    rules = compile_rules(candidate.snapshot, key, 7)
    assert (rules.policy, rules.policy_key, rules.revision, rules.channel_policy) == ("linux", key, 7, "shell-only")
    assert rules.channels == (ChannelRule(channel=ChannelType.SHELL, position=0),)
    assert rules.methods == GatewayMethods(password=True, keyboard_interactive=True, public_key=True)
    assert rules.relayed == (Relayed.SAME_PASSWORD, Relayed.KEYBOARD_INTERACTIVE, Relayed.AGENT)
    assert (rules.gateway_login, rules.inband) == (False, True)
    assert rules.settings.client.kex[0] == rules.settings.server.kex[0] == "mlkem768x25519-sha256"
    assert (rules.settings.login_seconds, rules.settings.login_tries, rules.settings.channels) == (120, 6, 100)
    assert (rules.audit.policy, rules.audit.text, rules.audit.live_view, rules.audit.go_on) == ("default", "screen", True, False)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(rules), type=ConnectionRules) == rules
    assert compile_rules(candidate.snapshot, key, 7) is rules
    with pytest.raises(KeyError):
        compile_rules(candidate.snapshot, "nothing")


def test_the_built_in_policy_for_all_has_every_channel(rig: Rig) -> None:
    candidate = rig.candidate()
    key = add(rig, candidate, at=chosen(channel_policy="-211"))
    assert [rule.channel for rule in compile_rules(candidate.snapshot, key).channels] == [*ChannelType]


def test_every_member_of_a_channel_rule_arrives(rig: Rig) -> None:
    candidate = rig.candidate()
    office = rig.post(candidate, "policies/time_policies", OFFICE)
    lines = [{**line, "time_policy": office} for line in CHANNELS["rules"]]
    channels = rig.post(candidate, "ssh/channel_policies", {"name": "x", "rules": lines})
    key = add(rig, candidate, at=chosen(channel_policy=channels))
    shell, command, subsystem, x11, local, remote = compile_rules(candidate.snapshot, key).channels
    day = ((8 * 60, 11 * 60 + 59), (13 * 60, 17 * 60 + 30))
    hours = Hours(days=(*[day] * 5, ((540, 541),), ()), zone=candidate.snapshot.read(timezone.NODE))
    assert shell == ChannelRule(
        channel=ChannelType.SHELL, position=0, clients=("10.0.0.0/8",), servers=("10.1.0.1/32",), gateway_groups=("dba",),
        remote_groups=("wheel",), hours=hours, keep_files=True,
    )  # fmt: skip
    assert (command.execs, command.position, subsystem.subsystems) == (("^uptime$",), 1, ("netconf",))
    assert x11.networks == ("192.168.1.1/32",)
    assert local.forwards == (
        Forward(
            host=End(selection="domain", value="*.example.com"),
            port=5432,
            originator=End(selection="address", value="127.0.0.0/8"),
        ),
    )
    assert remote.forwards == (Forward(host=End(selection="path", value="/run/x.sock")),)


def test_every_member_of_the_settings_arrives(rig: Rig) -> None:
    candidate = rig.candidate()
    settings = rig.post(candidate, SETTINGS, OLD_DEVICES)
    key = add(rig, candidate, at=chosen(settings=settings))
    rules = compile_rules(candidate.snapshot, key)
    found = msgspec.structs.asdict(rules.settings)
    algorithms = AlgorithmLists(
        kex=("curve25519-sha256", "diffie-hellman-group14-sha1"), host_key=("ssh-ed25519", "ssh-rsa"),
        cipher=("aes256-ctr", "3des-cbc"), mac=("hmac-sha2-256",), compression=("none",),
    )  # fmt: skip
    assert (found.pop("client"), found.pop("server")) == (algorithms, algorithms)
    assert found == {
        "channels": 100, "greeting": "Authorised use only.\nAll sessions are recorded.\n", "idle_timeout": 900,
        "keepalive_count": 3, "keepalive_interval": 30, "login_seconds": 120, "login_tries": 6, "rekey_bytes": 1 << 28,
        "rekey_seconds": 1800, "session_timeout": 28_800, "strict_mode": False,
    }  # fmt: skip


def test_an_audit_policy_arrives_with_its_certificates(rig: Rig) -> None:
    candidate = rig.candidate()
    screen, keystrokes = identity(rig, candidate, with_key=False), identity(rig, candidate, with_key=False)
    body: dict[str, Any] = {
        "encryption": {"certificates": [screen], "enabled": True, "keystroke_certificates": [keystrokes]},
        "name": "sealed",
        "signing": {"enabled": True, "x509_identity": identity(rig, candidate)},
        "signing_and_timestamping_interval": 60,
        "timestamping": {"enabled": True, "server": {"selection": "local"}},
        "when_recording_fails": "go_on",
    }
    policy = rig.post(candidate, "policies/audit_policies", body)
    index = rig.post(candidate, "policies/indexing", {"name": "x", "text": "commands"})
    key = add(rig, candidate, at={**chosen(audit_policy=policy), "indexing": {"policy": index}})
    audit = compile_rules(candidate.snapshot, key).audit
    assert audit.screen_certificates[0].startswith("-----BEGIN CERTIFICATE-----")
    assert len(audit.screen_certificates) == len(audit.keystroke_certificates) == 1
    assert (audit.signed, audit.timestamped, audit.interval, audit.go_on) == (True, True, 60, True)
    assert (audit.live_view, audit.text) == (False, "commands")
    body |= {"live_view": True, "encryption": {"certificates": [screen], "enabled": True}}
    rig.put(candidate, "policies/audit_policies", body, policy)
    audit = compile_rules(candidate.snapshot, key).audit
    assert audit.live_view
    assert audit.keystroke_certificates == audit.screen_certificates
    rig.put(candidate, CONNECTIONS, {**SHORT, "indexing": {"enabled": False}}, key)
    assert compile_rules(candidate.snapshot, key).audit.text == "none"


def test_everything_that_a_policy_refers_to(rig: Rig) -> None:
    candidate = switched_on(rig)
    database = rig.post(candidate, DATABASE, {"name": "x", "users": [{"username": "jane"}]})
    gate = {
        "backend": {"selection": "local", "user_database": database},
        "client": {"public_key": {"enabled": True}, "password": {"enabled": True}},
        "name": "gate",
        "relayed": [{"selection": "private_key", "key": private_key(rig, candidate)}],
        "require": [["public_key", "password"]],
    }
    authentication = rig.post(candidate, AUTHENTICATIONS, gate)
    store = rig.post(candidate, "policies/credentialstores", {"name": "x"})
    mapping = rig.post(candidate, "policies/usermapping_policies", {"name": "x"})
    own = {"client_side_hostkeys": {"selection": "own", "keys": [private_key(rig, candidate)]}}
    fixed = {"server_address": {"selection": "fix", "address": {"selection": "fqdn", "value": "db1"}}}
    policies = chosen(authentication_policy=authentication, credential_store=store, usermapping_policy=mapping)
    key = add(rig, candidate, at={**policies, **own, **fixed})
    policy = connection_policy(candidate.snapshot, key)
    assert policy.users is not None
    assert [user.username for user in policy.users.users] == ["jane"]
    assert (policy.store is None, policy.mapping is None, policy.directory) == (False, False, None)
    assert [reference.key for reference in policy.host_keys] == own["client_side_hostkeys"]["keys"]
    assert policy.restrictions is None
    rules = compile_rules(candidate.snapshot, key)
    assert (rules.gateway_login, rules.inband, rules.relayed) == (True, False, (Relayed.PRIVATE_KEY,))
    assert rules.methods.require == (("public_key", "password"),)
    other = add(rig, candidate, "other")
    rig.commit(candidate)
    found = connection_policy(rig.pipeline.running.snapshot, other)
    assert [reference.key for reference in found.host_keys] == [one["key"] for one in rig.value("ssh/host_keys")["keys"]]
    assert found.restrictions is not None
    assert {str(address) for address in found.restrictions.own} == {"127.0.0.1"}


def test_the_engine_has_every_algorithm() -> None:
    from asyncssh import compression, encryption, kex, mac, public_key

    def known(names: Any) -> set[str]:
        return {name.decode() for name in names}

    assert {*_algorithms.Kex.__args__} <= known(kex.get_kex_algs())  # type: ignore[attr-defined]
    assert {*_algorithms.Cipher.__args__} <= known(encryption.get_encryption_algs())  # type: ignore[attr-defined]
    assert {*_algorithms.Mac.__args__} <= known(mac.get_mac_algs())  # type: ignore[attr-defined]
    assert {*_algorithms.Compression.__args__} <= known(compression.get_compression_algs())  # type: ignore[attr-defined]
    assert {*_algorithms.HostKey.__args__} <= known(public_key.get_public_key_algs())  # type: ignore[attr-defined]


# Who takes a connection


def test_the_first_active_policy_in_order_takes_a_connection(rig: Rig) -> None:
    candidate = switched_on(rig)
    few = add(rig, candidate, "few", {"network/clients": ["10.0.0.0/8"]})
    many = add(rig, candidate, "many", {"network/clients": ["0.0.0.0/0"]})
    port = add(rig, candidate, "port", {"network/ports": [22]})
    off = add(rig, candidate, "off", {"active": False, "network/ports": [23]})

    def taken(local: str, at: int, client: str) -> str | None:
        return matching(candidate.snapshot, local, at, client)

    assert taken("127.0.0.1", 2222, "10.1.1.1") == few
    assert taken("::ffff:127.0.0.1", 2222, "::ffff:10.1.1.1") == few
    assert taken("127.0.0.1", 2222, "11.1.1.1") == many
    assert taken("127.0.0.1", 22, "2001:db8::1") == port
    assert taken("127.0.0.1", 2222, "2001:db8::1") is None
    assert taken("192.0.2.1", 2222, "10.1.1.1") is None
    assert taken("127.0.0.1", 23, "10.1.1.1") is None
    rig.put(candidate, CONNECTIONS, {"@order": [many, few, port, off]})
    assert taken("127.0.0.1", 2222, "10.1.1.1") == many
    rig.put(candidate, OPTIONS, {})
    assert taken("127.0.0.1", 2222, "10.1.1.1") is None


def test_limits_of_a_node(rig: Rig) -> None:
    snapshot = rig.pipeline.running.snapshot
    assert (limits(snapshot).sessions, limits(snapshot).per_address) == (500, 10)
    assert disk_limit(snapshot) == 80
    candidate = rig.candidate()
    rig.put(candidate, OPTIONS, {"limits": {"sessions": 2}})
    rig.put(candidate, "management/disk_fillup_prevention", {"enabled": False})
    snapshot = candidate.snapshot
    assert (limits(snapshot).sessions, limits(snapshot).per_address) == (2, 10)
    assert disk_limit(snapshot) is None


def test_a_node_opens_what_is_sealed_to_its_keys(rig: Rig) -> None:
    candidate = rig.candidate()
    own = identity(rig, candidate)
    rig.put(candidate, "local_services/indexer", {"decryption_keys": [own]})
    rig.commit(candidate)
    [(name, private)] = decryption_keys(rig.pipeline.running.snapshot, rig.secrets.text).items()
    certificate = x509.certificate_of(rig.pipeline.running.snapshot, own)
    assert certificate is not None
    block = json.loads(json.dumps(wrapped(b"k" * 32, [certificate.public_bytes(Encoding.PEM).decode()])))
    assert block["recipients"] == [name]
    assert opened(block, private) == b"k" * 32


# What a commit ends


def gated(rig: Rig, candidate: Candidate, backend: dict[str, Any], **policies: str) -> str:
    gate = {"backend": backend, "client": {"password": {"enabled": True}}, "name": "g", "relayed": [{"selection": "agent"}]}
    return add(rig, candidate, at=chosen(authentication_policy=rig.post(candidate, AUTHENTICATIONS, gate), **policies))


def test_sessions_end_with_their_policy(rig: Rig) -> None:
    candidate = switched_on(rig)
    kept, gone, off = (add(rig, candidate, name, {"network/ports": [port]}) for name, port in (("a", 1), ("b", 2), ("c", 3)))
    rig.commit(candidate)
    before = rig.pipeline.running.snapshot
    assert [why_over(before, Entered(key)) for key in (kept, gone, off)] == [None] * 3
    candidate = rig.candidate()
    rig.delete(candidate, CONNECTIONS, gone)
    rig.put(candidate, CONNECTIONS, {**rig.value(CONNECTIONS, off), "active": False}, off)
    after = candidate.snapshot
    assert [*policies_ended(before, after)] == [(gone, "b"), (off, "c")]
    assert why_over(after, Entered(gone)) == "The connection policy was removed."
    assert why_over(after, Entered(off)) == "The connection policy was made inactive."
    counts = {gone: 2, off: 0, kept: 5}
    assert [(one.action, one.effect, one.origin.rpartition("/")[2]) for one in drops(before, after, counts.__getitem__)] == [
        ("end 2 sessions of b", "sessions_drop", gone)
    ]
    rig.put(candidate, OPTIONS, {})
    assert {key for key, _ in policies_ended(before, candidate.snapshot)} == {kept, gone, off}
    assert [*policies_ended(candidate.snapshot, before)] == []


def test_sessions_end_with_what_their_user_came_in_with(rig: Rig) -> None:
    candidate = switched_on(rig)
    secret = password(rig, candidate)
    jane = {"passwords": [secret], "public_keys": [AUTHORITY], "username": "jane"}
    database = rig.post(candidate, DATABASE, {"name": "x", "users": [jane]})
    key = gated(rig, candidate, {"selection": "local", "user_database": database})
    by_password, by_key = Entered(key, "jane", credential=secret), Entered(key, "jane", credential=AUTHORITY)

    def over(**changes: Any) -> list[bool]:
        trial = candidate.copy()
        rig.put(trial, DATABASE, {"name": "x", "users": [{**jane, **changes}]}, database)
        return [why_over(trial.snapshot, one) is not None for one in (by_password, by_key)]

    assert over() == [False, False]
    assert over(passwords=[]) == [True, False]
    assert over(public_keys=[]) == [False, True]
    assert over(username="joe") == [True, True]


def test_sessions_end_with_their_account(rig: Rig) -> None:
    candidate = switched_on(rig)
    account = rig.post(candidate, USERS, {"name": "jane", "public_keys": [AUTHORITY]})
    key = gated(rig, candidate, {"selection": "accounts"})
    session = Entered(key, "Jane", credential=AUTHORITY)
    assert why_over(candidate.snapshot, session) is None
    rig.put(candidate, USERS, {"name": "jane"}, account)
    assert why_over(candidate.snapshot, session) is not None
    assert why_over(candidate.snapshot, Entered(key, "jane")) is None
    rig.delete(candidate, USERS, account)
    assert why_over(candidate.snapshot, Entered(key, "jane")) is not None


def test_sessions_end_with_their_mapping(rig: Rig) -> None:
    candidate = switched_on(rig)
    mapping = "policies/usermapping_policies"
    rules = [{"gateway_groups": ["dba"], "server_username": "oracle"}]
    policy = rig.post(candidate, mapping, {"name": "x", "rules": rules})
    key = gated(rig, candidate, {"selection": "accounts"}, usermapping_policy=policy)
    session = Entered(key, "admin", frozenset({"dba"}), "oracle")
    assert why_over(candidate.snapshot, session) is None
    rig.put(candidate, mapping, {"name": "x"}, policy)
    assert why_over(candidate.snapshot, session) == "The usermapping no longer allows oracle."


def test_a_directory_is_asked_at_a_login(rig: Rig) -> None:
    candidate = switched_on(rig)
    key = gated(rig, candidate, {"selection": "ldap"})
    assert why_over(candidate.snapshot, Entered(key, "jane", credential="x")) is None
