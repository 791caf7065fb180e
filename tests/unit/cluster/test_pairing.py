"""Pairing: who knows the psk and sees the true certificates pairs, nobody else, and nobody learns why not."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from doorward.cluster.keys import NodeKey, fingerprint
from doorward.cluster.pairing import (
    PSK_SECONDS,
    REPEAT_SECONDS,
    Acceptance,
    CentralNotProvenError,
    PairAnswer,
    PairedCentral,
    PairingAttempt,
    PairingRefusedError,
    PairRequest,
    PskLife,
    central_text,
    fields,
    key_of,
    new_psk,
    node_text,
)

NODE_ID = UUID("46f97a58-4028-467d-9a22-9cfe78ae3e1c")
CENTRE_ID = UUID("b35c54da-b556-4f91-ade5-d26283d68277")
CLUSTER_ID = UUID("0d2a1a52-64a5-4b2f-9c5b-53c8d2f2a111")
PSK = "Zq3mWq0F8nY2b4cV7xT1sLr9dQ5uJ6hPg0aEiOyNwKMx2B7tR4vC8zD1fG5hJ9kL"
NOW = 1_795_291_200.0
WHEN = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[NodeKey, NodeKey, NodeKey]:
    """The keys of the node, Central Management and somebody in the middle."""
    return tuple(NodeKey.at(tmp_path_factory.mktemp("state"), str(uuid4())) for _ in range(3))  # type: ignore[return-value]


@pytest.fixture
def node(keys: tuple[NodeKey, NodeKey, NodeKey]) -> NodeKey:
    return keys[0]


@pytest.fixture
def central(keys: tuple[NodeKey, NodeKey, NodeKey]) -> PairedCentral:
    return PairedCentral("1.0", keys[1].fingerprint, CLUSTER_ID, CENTRE_ID)


@pytest.fixture
def middle(keys: tuple[NodeKey, NodeKey, NodeKey]) -> NodeKey:
    return keys[2]


ACCEPTED = Acceptance(NODE_ID, PSK, PskLife(NOW + PSK_SECONDS))


def asked(attempt: PairingAttempt, version: str = "1.0") -> PairRequest:
    """The request as it arrives."""
    request = attempt.request(version=version, address="10.40.255.172", time=WHEN)
    return msgspec.json.decode(msgspec.json.encode(request), type=PairRequest)


def refusal(central: PairedCentral, request: PairRequest, acceptance: Acceptance | None, now: float = NOW) -> PairingRefusedError:
    with pytest.raises(PairingRefusedError) as refused:
        central.answer(request, acceptance, now)
    return refused.value


def test_both_sides_prove_themselves(node: NodeKey, central: PairedCentral) -> None:
    attempt = PairingAttempt(PSK, NODE_ID, node, central.fingerprint)
    answer = central.answer(asked(attempt), ACCEPTED, NOW)
    attempt.check(msgspec.json.decode(msgspec.json.encode(answer), type=PairAnswer))
    assert (answer.cluster_id, answer.central_node_id) == (CLUSTER_ID, CENTRE_ID)


def test_texts_and_key_are_those_of_the_contract() -> None:
    """Made here a second time, from the standard library and by hand."""
    extracted = hmac.digest(NODE_ID.bytes, PSK.encode(), "sha256")
    key = hmac.digest(extracted, b"doorward pair v1\x01", "sha256")
    assert key_of(PSK, NODE_ID) == key
    nonce, other, one, two = (bytes([n]) * 32 for n in (1, 2, 3, 4))
    length = b"\0\0\0\x20"
    asking = b"\0\0\0\x04node\0\0\0\x10" + NODE_ID.bytes
    asking += length + nonce + length + one + length + two + b"\0\0\0\x031.0"
    assert node_text(NODE_ID, nonce, one, two, "1.0") == asking
    answering = b"\0\0\0\x06centre\0\0\0\x10" + NODE_ID.bytes
    answering += length + nonce + length + other + length + two + length + one + b"\0\0\0\x10" + CLUSTER_ID.bytes
    assert central_text(NODE_ID, (nonce, other), two, one, CLUSTER_ID) == answering
    vectors = [
        key.hex(),
        hmac.digest(key, node_text(NODE_ID, nonce, one, two, "1.0"), "sha256").hex(),
        hmac.digest(key, central_text(NODE_ID, (nonce, other), two, one, CLUSTER_ID), "sha256").hex(),
    ]
    assert vectors == VECTORS


VECTORS = [
    "45c8a2ca045bedc1218922678606c1e6f2ad68ee0912abd77da77040668a358d",
    "408be7b582a7aa6d8eaf96ebd384e0c570574d0b5648f6d4364829f0adef5655",
    "70b5797f9cfe8bee137ccf4ed332987f02722ed0f7e020c0cc8f26d79386e945",
]
"""K, and the macs of node and centre."""


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_no_two_lists_of_fields_give_the_same_text(one: list[bytes], other: list[bytes]) -> None:
    assert (fields(*one) == fields(*other)) == (one == other)


def test_psk_is_long_and_new_each_time() -> None:
    made = {new_psk() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch("[A-Za-z0-9]{64}", psk) for psk in made)


def test_psk_is_in_no_text_of_the_values(node: NodeKey, central: PairedCentral) -> None:
    assert PSK not in repr(ACCEPTED)
    assert PSK not in repr(asked(PairingAttempt(PSK, NODE_ID, node, central.fingerprint)))


def test_somebody_in_the_middle_can_make_no_proof(node: NodeKey, central: PairedCentral, middle: NodeKey) -> None:
    attempt = PairingAttempt(PSK, NODE_ID, node, middle.fingerprint)
    passed_on = asked(attempt)
    assert refusal(central, passed_on, ACCEPTED).code == "not_accepted"
    swapped = msgspec.structs.replace(passed_on, certificate=middle.certificate)
    assert refusal(central, swapped, ACCEPTED).code == "not_accepted"
    honest = central.answer(asked(PairingAttempt(PSK, NODE_ID, node, central.fingerprint)), ACCEPTED, NOW)
    with pytest.raises(CentralNotProvenError):
        attempt.check(honest)
    with pytest.raises(CentralNotProvenError):
        attempt.check(PairAnswer(CLUSTER_ID, CENTRE_ID, b"n" * 32, b"m" * 32))


def test_proof_of_the_node_is_none_of_the_central(node: NodeKey, central: PairedCentral) -> None:
    attempt = PairingAttempt(PSK, NODE_ID, node, central.fingerprint)
    request = asked(attempt)
    with pytest.raises(CentralNotProvenError):
        attempt.check(PairAnswer(CLUSTER_ID, CENTRE_ID, request.nonce, request.mac))


def test_old_answer_and_changed_answer_prove_nothing(node: NodeKey, central: PairedCentral) -> None:
    first, second = (PairingAttempt(PSK, NODE_ID, node, central.fingerprint) for _ in range(2))
    answer = central.answer(asked(first), ACCEPTED, NOW)
    for wrong in (
        central.answer(asked(second), ACCEPTED, NOW),
        msgspec.structs.replace(answer, cluster_id=uuid4()),
        msgspec.structs.replace(answer, nonce=bytes(32)),
        msgspec.structs.replace(answer, mac=bytes(32)),
    ):
        with pytest.raises(CentralNotProvenError):
            first.check(wrong)
    first.check(answer)


def test_every_refusal_looks_the_same(node: NodeKey, central: PairedCentral, middle: NodeKey) -> None:
    request = asked(PairingAttempt(PSK, NODE_ID, node, central.fingerprint))
    other = asked(PairingAttempt(PSK, NODE_ID, middle, central.fingerprint))
    cases: dict[str, tuple[PairRequest, Acceptance | None, bool]] = {
        "not accepted": (request, None, False),
        "psk of another node": (request, dataclasses.replace(ACCEPTED, node_id=uuid4()), False),
        "expired": (request, dataclasses.replace(ACCEPTED, life=PskLife(NOW)), False),
        "another psk": (request, dataclasses.replace(ACCEPTED, psk=new_psk()), True),
        "mac altered": (msgspec.structs.replace(request, mac=bytes(32)), ACCEPTED, True),
        "nonce altered": (msgspec.structs.replace(request, nonce=bytes(32)), ACCEPTED, True),
        "version altered": (msgspec.structs.replace(request, version="2.0"), ACCEPTED, True),
        "signature of another key": (msgspec.structs.replace(request, signature=other.signature), ACCEPTED, True),
        "certificate of another": (msgspec.structs.replace(request, certificate=middle.certificate), ACCEPTED, True),
        "no certificate": (msgspec.structs.replace(request, certificate=b"\x30\x03abc"), ACCEPTED, True),
        "another node pinned": (
            request,
            dataclasses.replace(ACCEPTED, life=replace(ACCEPTED.life, pinned=middle.fingerprint, pinned_at=NOW)),
            True,
        ),
    }
    for name, (asking, acceptance, differs) in cases.items():
        refused = refusal(central, asking, acceptance)
        assert (refused.code, str(refused), refused.psk_differs) == ("not_accepted", "not_accepted", differs), name


def test_key_must_be_held_even_by_who_knows_the_psk(node: NodeKey, central: PairedCentral, middle: NodeKey) -> None:
    """The mac is right for the foreign certificate, but its key did not sign."""
    attempt = PairingAttempt(PSK, NODE_ID, node, central.fingerprint)
    text = node_text(NODE_ID, b"n" * 32, middle.fingerprint, central.fingerprint, "1.0")
    mac = hmac.digest(key_of(PSK, NODE_ID), text, "sha256")
    stolen = msgspec.structs.replace(
        asked(attempt), nonce=b"n" * 32, certificate=middle.certificate, mac=mac, signature=node.sign(text)
    )
    assert refusal(central, stolen, ACCEPTED).code == "not_accepted"
    central.answer(msgspec.structs.replace(stolen, signature=middle.sign(text)), ACCEPTED, NOW)


def test_other_release_is_told_to_who_proved_himself_only(node: NodeKey, central: PairedCentral) -> None:
    request = asked(PairingAttempt(PSK, NODE_ID, node, central.fingerprint), version="2.0")
    assert refusal(central, request, ACCEPTED).code == "version_mismatch"
    assert refusal(central, request, dataclasses.replace(ACCEPTED, psk=new_psk())).code == "not_accepted"


def test_pairing_may_be_repeated_while_its_answer_may_be_lost(node: NodeKey, central: PairedCentral) -> None:
    request = asked(PairingAttempt(PSK, NODE_ID, node, central.fingerprint))
    life = replace(ACCEPTED.life, pinned=fingerprint(request.certificate), pinned_at=NOW)
    pinned = dataclasses.replace(ACCEPTED, life=life)
    central.answer(request, pinned, NOW + REPEAT_SECONDS - 1)
    assert refusal(central, request, pinned, NOW + REPEAT_SECONDS).code == "not_accepted"
    assert (
        refusal(central, request, dataclasses.replace(pinned, life=replace(life, until=NOW + 5)), NOW + 5).code == "not_accepted"
    )


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("node_id", "no-uuid"), ("version", 1), ("nonce", "AAAA"), ("certificate", "*"),
        ("version", "1" * 65), ("time", "2026-11-21T20:14:02"), ("address", "node.invalid"),
        ("certificate", "A" * 8192), ("nonce", ""), ("mac", None), ("signature", "A" * 400),
    ],
)  # fmt: skip
def test_requests_of_another_form_are_no_requests(node: NodeKey, central: PairedCentral, member: str, value: object) -> None:
    good = msgspec.to_builtins(
        PairingAttempt(PSK, NODE_ID, node, central.fingerprint).request(version="1", address="::1", time=WHEN)
    )
    msgspec.json.decode(msgspec.json.encode(good), type=PairRequest)
    for wrong in ({**good, member: value}, {name: good[name] for name in good if name != member}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(wrong), type=PairRequest)


def test_digest_of_the_certificate_is_the_pin(node: NodeKey) -> None:
    assert fingerprint(node.certificate) == hashlib.sha256(node.certificate).digest()
