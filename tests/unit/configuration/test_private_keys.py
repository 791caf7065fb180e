"""Private keys: what is taken, what is shown, what is kept."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key, load_ssh_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.configuration import private_keys
from doorward.tree.problems import InvalidBody, SemanticError
from tests.unit.configuration.material import certificate, key, openssh_dsa, pem, text
from tests.unit.transaction.rig import ROOT, TREE, Rig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doorward.tree.nodes import Made
    from doorward.tree.problems import Problem

STORE = TREE[ROOT + "private_keys"]
FORMS = {
    "ed25519": ["pkcs8", "openssh"],
    "ecdsa-p256": ["pkcs8", "traditional", "openssh"],
    "ecdsa-p384": ["traditional"],
    "ecdsa-p521": ["openssh"],
    "rsa-2048": ["pkcs8", "traditional", "openssh"],
    "rsa-3072": ["pkcs8"],
}
TAKEN = [(kind, form) for kind, forms in FORMS.items() for form in forms]


def make(value: Any) -> Made:
    return private_keys.NODE.made(value, strict=True)


def refused(value: Any) -> list[tuple[str, str, str]]:
    try:
        make(value)
    except InvalidBody as refusal:
        return [("Body", problem.code, problem.pointer) for problem in refusal.problems]
    except SemanticError as refusal:
        return [("Meaning", problem.code, problem.pointer) for problem in refusal.problems]
    raise AssertionError("was taken")


def public(private: Any) -> str:
    found = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return f"{found} doorward"


def fingerprint(shown: str) -> str:
    digest = hashlib.sha256(base64.b64decode(shown.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def kept(made: Made) -> Any:
    assert made.secret is not None
    return load_ssh_private_key(made.secret.encode(), None)


@pytest.mark.parametrize(("kind", "form"), TAKEN)
def test_a_posted_key_is_shown_by_its_public_half_only(kind: str, form: str) -> None:
    made = make({"private_key": pem(key(kind), form)})
    assert made.body.keys() == {"created", "fingerprint", "public_key", "type"}
    assert made.body["type"] == kind
    assert made.body["public_key"] == public(key(kind))
    assert made.body["fingerprint"] == fingerprint(made.body["public_key"])


@pytest.mark.parametrize(("kind", "form"), TAKEN)
def test_what_is_kept_of_a_posted_key_is_the_key_itself_in_one_form(kind: str, form: str) -> None:
    made = make({"private_key": pem(key(kind), form)})
    assert pem(kept(made)) == pem(key(kind))
    assert made.secret is not None
    assert made.secret.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert "PRIVATE" not in str(made.body)
    assert made.secret not in repr(made)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-p256", "rsa-4096"])
def test_a_key_can_be_generated(kind: str) -> None:
    first, second = (make({"generate": {"selection": kind}}) for _ in range(2))
    assert first.body["type"] == kind
    assert first.body["public_key"] == public(kept(first))
    assert first.body["public_key"] != second.body["public_key"]
    load_ssh_public_key(first.body["public_key"].encode())


def test_the_fingerprint_of_the_contract() -> None:
    shown = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINfMPvcqa8+dU7UwItAVS/PV78PT2pHCj2d5ig0l4zIY doorward"
    assert fingerprint(shown) == "SHA256:BFH0hrPlIM5M04EUp6JJR3/oPlT049gwLDUcwZl7bUY"


@pytest.mark.parametrize(
    "value",
    [
        pem(key("ed25519"), "pkcs8", "secret"),
        pem(key("rsa-2048"), "traditional", "secret"),
        pem(key("ecdsa-p256"), "traditional", "secret"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    ],
    ids=["pkcs8", "rsa", "ec", "of an unknown cipher"],
)
def test_encrypted_keys_are_refused(value: str) -> None:
    assert refused({"private_key": value}) == [("Meaning", "encrypted_key", "/private_key")]


def test_encrypted_keys_in_the_form_of_openssh_are_refused() -> None:
    clear = pem(key("ed25519"), "openssh").splitlines()
    blob = base64.b64decode("".join(clear[1:-1]))
    options = b"\0\0\0\x10" + bytes(16) + b"\0\0\0\x10"
    sealed = blob.replace(
        b"\0\0\0\4none\0\0\0\4none\0\0\0\0", b"\0\0\0\x0aaes256-ctr\0\0\0\6bcrypt\0\0\0" + bytes([len(options)]) + options, 1
    )
    assert sealed != blob
    value = "\n".join([clear[0], base64.b64encode(sealed).decode(), clear[-1], ""])
    assert refused({"private_key": value}) == [("Meaning", "encrypted_key", "/private_key")]


@pytest.mark.parametrize(
    ("kind", "form"), [("rsa-1024", "pkcs8"), ("rsa-1024", "openssh"), ("dsa-1024", "pkcs8"), ("dsa-1024", "traditional")]
)
def test_weak_keys_are_refused(kind: str, form: str) -> None:
    assert refused({"private_key": pem(key(kind), form)}) == [("Meaning", "weak_key", "/private_key")]


def test_weak_keys_in_the_form_of_openssh_are_refused() -> None:
    assert refused({"private_key": openssh_dsa()}) == [("Meaning", "weak_key", "/private_key")]


def test_a_refusal_names_the_store() -> None:
    with pytest.raises(SemanticError) as caught:
        make({"private_key": pem(key("rsa-1024"))})
    assert [problem.path for problem in caught.value.problems] == [private_keys.PATH]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        text(certificate("x", key("ed25519"))),
        public(key("ed25519")),
        pem(key("ed448")),
        pem(key("x25519")),
        pem(key("p224")),
        pem(key("secp256k1")),
        pem(key("ed25519")) + pem(key("ecdsa-p256")),
        pem(key("ed25519")).replace("\n", "\n\u00e9", 1),
        pem(key("rsa-2048"))[:-40],
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nA\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
    ids=[
        "nothing",
        "garbage",
        "certificate",
        "public key",
        "ed448",
        "x25519",
        "p224",
        "secp256k1",
        "two keys",
        "not ascii",
        "cut off",
        "no openssh",
        "no base64",
        "no pkcs8",
    ],
)
def test_what_is_no_key_of_ours_is_refused(value: str) -> None:
    assert refused({"private_key": value}) == [("Body", "format", "/private_key")]


def test_a_key_of_endless_length_is_refused() -> None:
    assert refused({"private_key": "x" * 16385}) == [("Body", "length", "/private_key")]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({}, [("Body", "missing", "/private_key")]),
        ({"private_key": None, "generate": None}, [("Body", "missing", "/private_key")]),
        ({"private_key": "x", "generate": {"selection": "ed25519"}}, [("Body", "contradiction", "/generate")]),
        (
            {"private_key": "x", "generate": {"selection": "dsa"}},
            [("Body", "contradiction", "/generate"), ("Body", "enum", "/generate/selection")],
        ),
        ({"generate": {}}, [("Body", "missing", "/generate/selection")]),
        ({"generate": {"selection": "rsa-1024"}}, [("Body", "enum", "/generate/selection")]),
        ({"generate": "ed25519"}, [("Body", "type", "/generate")]),
        ({"private_key": 1}, [("Body", "type", "/private_key")]),
    ],
)
def test_a_key_is_either_posted_or_generated(value: Any, found: list[tuple[str, str, str]]) -> None:
    assert sorted(refused(value), key=str) == sorted(found, key=str)


DAMAGED = [pem(key("ed25519"), "openssh"), pem(key("ecdsa-p256"), "traditional"), pem(key("rsa-2048"))]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(DAMAGED), st.integers(0, 1600), st.binary(max_size=6))
def test_a_damaged_key_is_a_key_or_refused_in_words(value: str, at: int, bytes_: bytes) -> None:
    at %= len(value)
    damaged = value[:at] + bytes_.decode("latin-1") + value[at + len(bytes_) :]
    try:
        made: Made | None = make({"private_key": damaged})
        problems: Sequence[Problem] = ()
    except (InvalidBody, SemanticError) as error:
        made, problems = None, error.problems
    assert {problem.pointer for problem in problems} == (set() if made else {"/private_key"})
    assert all(problem.message for problem in problems)
    assert made is None or made.secret


@pytest.mark.parametrize("beside", ["\ufeff{}", "# Clé de l'hôte\n{}", "{}é\n"])
@pytest.mark.parametrize("form", ["pkcs8", "openssh"])
def test_what_stands_beside_a_key_counts_for_nothing(beside: str, form: str) -> None:
    posted = make({"private_key": beside.format(pem(key("ed25519"), form))})
    assert posted.body["public_key"] == public(key("ed25519"))


def test_an_unowned_key_is_kept_sealed_and_says_so(rig: Rig) -> None:
    candidate = rig.candidate()
    made = rig.post(candidate, "private_keys", {"private_key": pem(key("ed25519"))})
    rig.commit(candidate)
    assert rig.value("private_keys", made).keys() == {"created", "fingerprint", "public_key", "type"}
    assert pem(load_ssh_private_key((rig.secrets.text(made) or "").encode(), None)) == pem(key("ed25519"))


def test_the_owner_is_shown() -> None:
    assert private_keys.show({"type": "ed25519"}, [], None) == {"owner": None, "type": "ed25519"}
    assert private_keys.show({"type": "ed25519"}, ["/x"], "sealed") == {"owner": "/x", "type": "ed25519"}
