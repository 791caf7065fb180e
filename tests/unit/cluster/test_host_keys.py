"""Host keys between a node and its Central Management: what nodes learn, what is deleted, whose key counts."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from doorward.cluster import host_keys
from doorward.cluster.calls import CallRefusedError
from doorward.cluster.host_keys import HostKeyReport, exchange
from doorward.sessions.host_keys import OtherKeyError, TrustedHostKeys
from tests.unit.cluster.pairs import Node, PairedCentral


def key(number: int) -> str:
    blob = (11).to_bytes(4, "big") + b"ssh-ed25519" + (32).to_bytes(4, "big") + bytes([number]) * 32
    return "ssh-ed25519 " + base64.b64encode(blob).decode()


@pytest.fixture
def central(tmp_path: Path) -> PairedCentral:
    return PairedCentral(tmp_path / "central")


@pytest.fixture
def node(tmp_path: Path, central: PairedCentral) -> Node:
    return Node(tmp_path / "node", central, "managed-host")


@pytest.fixture
def other(tmp_path: Path, central: PairedCentral) -> Node:
    return Node(tmp_path / "other", central, "managed-host", address="10.0.0.3")


def meet(*nodes: Node) -> None:
    for one in nodes:
        exchange(one.host_keys, one.wire)


def ids(keys: TrustedHostKeys) -> dict[str, str]:
    return {one.id: one.public_key for one in keys.all()}


def test_what_a_node_learns_is_trusted_everywhere(central: PairedCentral, node: Node, other: Node) -> None:
    central.host_keys.add("db1", 22, key(1), "admin")
    learned = node.host_keys.add("10.0.0.7", 22, key(2), "svc/x/linux:1")
    meet(node, other)
    wanted = {"ssh-ed25519-db1:22": key(1), "ssh-ed25519-10.0.0.7:22": key(2)}
    assert ids(node.host_keys) == ids(central.host_keys) == ids(other.host_keys) == wanted
    [found] = other.host_keys.of("10.0.0.7", "10.0.0.7", 22)
    assert (found.by, found.learned, found.fingerprint) == (learned.by, learned.learned, learned.fingerprint)


def test_who_has_the_same_keys_is_told_nothing(central: PairedCentral, node: Node) -> None:
    node.host_keys.add("db1", 22, key(1), "svc/x/linux:1")
    meet(node)
    before = node.rig.store.records("ssh_host_key")
    digest, learned = node.host_keys.untold(10)
    assert learned == []
    assert node.wire.host_keys(HostKeyReport(digest)) is None
    meet(node)
    assert node.rig.store.records("ssh_host_key") == before
    assert central.host_keys.digest == digest


def test_what_is_deleted_at_central_management_is_trusted_nowhere(central: PairedCentral, node: Node, other: Node) -> None:
    node.host_keys.add("db1", 22, key(1), "svc/x/linux:1")
    meet(node, other)
    assert central.host_keys.remove("ssh-ed25519-db1:22")
    again = TrustedHostKeys(node.rig.store)  # after a restart too
    exchange(again, node.wire)
    meet(other)
    assert again.all() == other.host_keys.all() == TrustedHostKeys(node.rig.store).all() == []
    assert other.host_keys.of("db1", "10.0.0.8", 22) == []


def test_the_key_of_central_management_counts(central: PairedCentral, node: Node) -> None:
    node.host_keys.add("db1", 22, key(9), "svc/x/linux:1")
    central.host_keys.add("db1", 22, key(1), "admin")
    meet(node)
    assert ids(node.host_keys) == ids(central.host_keys) == {"ssh-ed25519-db1:22": key(1)}
    with pytest.raises(OtherKeyError):
        node.host_keys.add("db1", 22, key(9), "svc/x/linux:2")


def test_what_is_learned_meanwhile_is_not_lost(central: PairedCentral, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    central.host_keys.add("db1", 22, key(1), "admin")
    ask = node.wire.host_keys

    def learning(told: HostKeyReport) -> Any:
        node.host_keys.add("db2", 22, key(2), "svc/x/linux:1")
        return ask(told)

    monkeypatch.setattr(node.wire, "host_keys", learning)
    meet(node)
    assert set(ids(node.host_keys)) == {"ssh-ed25519-db1:22", "ssh-ed25519-db2:22"}
    meet(node)
    assert ids(central.host_keys) == ids(node.host_keys)


def test_many_are_told_of_in_parts(central: PairedCentral, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_keys, "MAX_TOLD", 2)
    for number in range(5):
        node.host_keys.add(f"db{number}", 22, key(number), "svc/x/linux:1")
    meet(node)
    assert len(central.host_keys.all()) == 5
    assert node.wire.calls.count("host_keys") == 3
    assert node.host_keys.untold(10)[1] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"public_key": "ssh-rsa " + key(1).split()[1]},
        {"type": "ssh-rsa"},
        {"public_key": "ssh-ed25519 AAAA"},
        {"public_key": "ssh-ed25519 not base64"},
        {"host": "a b"},
        {"host": "a\x1b[2J"},
        {"port": 0},
        {"learned": "yesterday"},
        {"by": ""},
    ],
)
def test_what_is_no_host_key_is_refused(changes: dict[str, Any]) -> None:
    good = {
        "type": "ssh-ed25519", "host": "db1", "port": 22, "public_key": key(1), "learned": "2026-11-30T10:00:00Z", "by": "x",
    }  # fmt: skip
    assert msgspec.convert({"digest": "", "learned": [good]}, HostKeyReport).learned
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"digest": "", "learned": [good | changes]}, HostKeyReport)


def test_another_node_takes_none(node: Node) -> None:
    with pytest.raises(CallRefusedError) as refused:
        node.central.host_keys(node.wire.peer, HostKeyReport(""))
    assert refused.value.code == "not_central"
