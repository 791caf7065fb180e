"""Certificates: what is taken, what is shown, what is kept."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509 as made_by
from cryptography.hazmat.primitives.serialization import Encoding

from doorward.configuration import x509
from doorward.tree.nodes import Made
from doorward.tree.problems import InvalidBody, SemanticError
from tests.unit.configuration.material import NAMES, PSS, by_sha1, certificate, chain, key, made_by_openssl, pem, text
from tests.unit.transaction.rig import ROOT, TREE, Rig

if TYPE_CHECKING:
    from pathlib import Path

STORE = TREE[ROOT + "x509"]
P256, RSA = key("ecdsa-p256"), key("rsa-2048")
ROOT_CA = certificate("root", key("ecdsa-p256", 1), authority=True, signs=True)
LEAF = certificate("door", P256, "root", key("ecdsa-p256", 1), names=tuple(NAMES))


def make(value: Any) -> Made:
    return x509.NODE.made(value, strict=True)


def refused(value: Any) -> list[tuple[str, str, str]]:
    try:
        make(value)
    except InvalidBody as refusal:
        return [("Body", problem.code, problem.pointer) for problem in refusal.problems]
    except SemanticError as refusal:
        return [("Meaning", problem.code, problem.pointer) for problem in refusal.problems]
    raise AssertionError("was taken")


def meant(*codes: str, at: str = "/certificate") -> list[tuple[str, str, str]]:
    return [("Meaning", code, at) for code in codes]


def test_a_certificate_is_described() -> None:
    body = make({"certificate": text(LEAF, ROOT_CA)}).body
    created = body.pop("created")
    assert created.endswith("Z")
    assert body == {
        "certificate": text(LEAF, ROOT_CA),
        "fingerprint": "SHA256:" + hashlib.sha256(LEAF.public_bytes(Encoding.DER)).hexdigest(),
        "has_private_key": False,
        "issuer": "CN=root,O=Ex\\, Ample",
        "not_after": "2036-01-02T03:04:05Z",
        "not_before": "2026-01-02T03:04:05Z",
        "serial_number": "0a0b0c",
        "subject": "CN=door,O=Ex\\, Ample",
        "subject_alternative_names": [
            "DNS:door.example.com",
            "IP:192.0.2.1",
            "IP:2001:db8::1",
            "email:ops@example.com",
            "URI:https://door.example.com/",
        ],
    }


@pytest.mark.parametrize("kind", ["ecdsa-p256", "rsa-4096"])
def test_a_certificate_is_made_here_signed_by_its_own_key(kind: str) -> None:
    made = make({"generate": {"selection": kind, "names": ["Door.example.com", "192.0.2.1"], "days": 30}})
    found = made_by.load_pem_x509_certificate(made.body["certificate"].encode())
    found.verify_directly_issued_by(found)
    assert made.body["subject"] == "CN=door.example.com"
    assert made.body["subject_alternative_names"] == ["DNS:door.example.com", "IP:192.0.2.1"]
    assert (found.not_valid_after_utc - found.not_valid_before_utc).days == 31
    assert made.secret is not None
    # The same pair is taken where it is posted, so it is one that can be used.
    again = make({"certificate": made.body["certificate"], "private_key": made.secret})
    assert again.body["has_private_key"] is made.body["has_private_key"] is True


def test_an_order_for_a_certificate_is_checked() -> None:
    order = {"selection": "ecdsa-p256", "names": ["no name", "192.0.2.1", "192.0.2.1"], "days": 0}
    assert refused({"generate": order, "certificate": text(LEAF)}) == [
        ("Body", "contradiction", "/generate"),
        ("Body", "range", "/generate/days"),
        ("Body", "format", "/generate/names/0"),
        ("Body", "duplicate", "/generate/names/2"),
    ]
    places = [at for _, _, at in refused({"generate": {"selection": "ed25519", "names": []}})]
    assert sorted(places) == ["/generate/names", "/generate/selection"]


def test_without_alternative_names_the_list_is_empty() -> None:
    assert make({"certificate": text(ROOT_CA)}).body["subject_alternative_names"] == []


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-2048"])
@pytest.mark.parametrize("form", ["pkcs8", "traditional"])
def test_the_private_key_is_kept_apart(kind: str, form: str) -> None:
    form = "pkcs8" if kind == "ed25519" else form
    made = make({"certificate": text(certificate("x", key(kind))), "private_key": pem(key(kind), form)})
    assert made.body["has_private_key"] is True
    assert made.secret == pem(key(kind))
    assert "PRIVATE" not in str(made.body)
    assert made.secret not in repr(made)


def test_text_around_the_certificates_is_dropped() -> None:
    posted = "Certificate:\n    Data:\n" + text(LEAF).replace("\n", "\r\n") + "\nbag attributes\n" + text(ROOT_CA)
    assert make({"certificate": posted}).body["certificate"] == text(LEAF, ROOT_CA)


@pytest.mark.parametrize("length", [1, 2, 5, 10])
def test_chains_up_to_ten_are_taken(length: int) -> None:
    assert make({"certificate": text(*chain(length)), "private_key": pem(P256)}).body["has_private_key"]


def test_a_chain_of_eleven_is_refused() -> None:
    assert refused({"certificate": text(*chain(11))}) == meant("length")


def test_a_chain_without_its_root_is_taken() -> None:
    make({"certificate": text(*chain(4)[:-1])})


@pytest.mark.parametrize(
    "links",
    [
        chain(3)[::-1],
        [chain(3)[0], chain(3)[2], chain(3)[1]],
        [chain(3)[0], chain(3)[2]],
        [LEAF, certificate("root", key("ecdsa-p256", 2), authority=True, signs=True)],
        [certificate("a", P256, "b", RSA), certificate("b", RSA)],
        [certificate("a", P256, "b", RSA), certificate("b", RSA, authority=False)],
        [certificate("a", P256, "b", RSA), certificate("b", RSA, authority=True, signs=False)],
        [certificate("a", P256, "b", RSA), certificate("b", RSA, authority=False, signs=True)],
        [ROOT_CA, certificate("other", RSA, authority=True)],
    ],
    ids=[
        "reversed",
        "swapped",
        "gap",
        "namesake",
        "no authority",
        "said to be none",
        "may not sign",
        "signs unasked",
        "stranger",
    ],
)
def test_a_chain_that_does_not_sign_downwards_is_refused(links: list[made_by.Certificate]) -> None:
    assert set(refused({"certificate": text(*links)})) == set(meant("bad_chain"))


def test_every_broken_link_is_named() -> None:
    with pytest.raises(SemanticError) as caught:
        make({"certificate": text(*chain(3)[::-1])})
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        (x509.PATH, "Certificate 2 is not the issuer of certificate 1."),
        (x509.PATH, "Certificate 3 is not the issuer of certificate 2."),
    ]


def test_a_key_that_does_not_fit_is_refused() -> None:
    assert refused({"certificate": text(LEAF), "private_key": pem(RSA)}) == meant("key_mismatch", at="/private_key")
    assert refused({"certificate": text(LEAF, ROOT_CA), "private_key": pem(key("ecdsa-p256", 1))}) == meant(
        "key_mismatch", at="/private_key"
    )


def test_an_encrypted_key_is_refused() -> None:
    value = {"certificate": text(LEAF), "private_key": pem(P256, "pkcs8", "secret")}
    assert refused(value) == meant("encrypted_key", at="/private_key")


@pytest.mark.parametrize("kind", ["rsa-1024", "dsa-1024"])
def test_weak_keys_are_refused_wherever_they_stand(kind: str) -> None:
    weak = certificate("weak", key(kind), authority=True)
    assert refused({"certificate": text(weak)}) == meant("weak_key")
    assert refused({"certificate": text(weak), "private_key": pem(key(kind))}) == [
        *meant("weak_key"),
        *meant("weak_key", at="/private_key"),
    ]
    assert refused({"certificate": text(certificate("a", P256, "weak", key(kind)), weak)}) == meant("weak_key")


def test_everything_wrong_is_said_at_once() -> None:
    weak = certificate("weak", key("rsa-1024"))
    assert refused({"certificate": text(weak, ROOT_CA), "private_key": pem(P256)}) == [
        *meant("weak_key", "bad_chain"),
        *meant("key_mismatch", at="/private_key"),
    ]


@pytest.mark.parametrize(
    "value",
    ["", "garbage", pem(P256), text(LEAF) + pem(P256), text(LEAF)[:-60], text(LEAF).replace("MII", "MIJ", 1)],
    ids=["nothing", "garbage", "key", "certificate and key", "cut off", "damaged"],
)
def test_what_is_no_certificate_is_refused(value: str) -> None:
    assert refused({"certificate": value}) == [("Body", "format", "/certificate")]


@pytest.mark.parametrize(
    "value", ["", "garbage", pem(P256, "openssh"), text(LEAF)], ids=["", "garbage", "openssh", "certificate"]
)
def test_what_is_no_private_key_is_refused(value: str) -> None:
    assert refused({"certificate": text(LEAF), "private_key": value}) == [("Body", "format", "/private_key")]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({}, [("missing", "/certificate")]),
        ({"private_key": pem(P256)}, [("missing", "/certificate")]),
        ({"certificate": None}, [("type", "/certificate")]),
        ({"certificate": "x" * 131_073}, [("length", "/certificate")]),
        ({"certificate": text(LEAF), "private_key": "x" * 16_385}, [("length", "/private_key")]),
        ({"certificate": text(LEAF), "fingerprint": "x"}, [("unknown_member", "/fingerprint")]),
    ],
)
def test_the_shape_of_what_is_posted(value: Any, found: list[tuple[str, str]]) -> None:
    assert refused(value) == [("Body", *problem) for problem in found]


def test_no_private_key_means_no_secret(rig: Rig) -> None:
    candidate = rig.candidate()
    made = rig.post(candidate, "x509", {"certificate": text(LEAF), "private_key": None})
    assert candidate.secrets == {}
    rig.commit(candidate)
    assert rig.secrets.text(made) is None
    assert rig.value("x509", made)["has_private_key"] is False


def test_the_owners_are_shown() -> None:
    assert x509.show({"subject": "x"}, ["/a", "/b"], "sealed") == {"owners": ["/a", "/b"], "subject": "x"}


def test_an_identity_that_openssl_would_not_show_is_refused_at_once(tmp_path: Path) -> None:
    """RSA-PSS keys, and signatures by SHA-1."""
    certificate_, private_key = made_by_openssl(*PSS)
    assert refused({"certificate": certificate_, "private_key": private_key}) == meant("unsuitable")
    make({"certificate": certificate_})  # to trust it is another matter
    signed = by_sha1(P256, tmp_path)
    assert refused({"certificate": signed, "private_key": pem(P256)}) == meant("unsuitable")
    make({"certificate": signed})


@pytest.mark.parametrize("beside", ["\ufeff{}", "friendlyName: Zoë\n{}", "{}Zoë\n", "\ufeffBag Attributes é\r\n{}\n\u200b"])
@pytest.mark.parametrize("form", ["pkcs8", "traditional"])
def test_what_stands_beside_a_key_or_a_certificate_counts_for_nothing(beside: str, form: str) -> None:
    posted = {"certificate": beside.format(text(LEAF)), "private_key": beside.format(pem(P256, form))}
    made = make(posted)
    assert made.body["certificate"] == text(LEAF)
    assert made.secret == pem(P256)


def test_names_in_a_certificate_steer_nothing_where_they_are_shown() -> None:
    steering = certificate("door\x1b]0;x\x07\u202e", P256, names=(made_by.DNSName("a\x1b[2J"),))
    body = make({"certificate": text(steering)}).body
    assert body["subject"] == "CN=door\\x1b]0\\;x\\x07\\x202e,O=Ex\\, Ample"
    assert body["subject_alternative_names"] == ["DNS:a\\x1b[2J"]
