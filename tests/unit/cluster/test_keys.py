"""The key of the node channel: made once, kept whole, pinned by its certificate."""

from __future__ import annotations

import datetime as dt
import hashlib
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from doorward.cluster.keys import NAME, NodeKey, NodeKeyError, proves, replace
from tests.support.pki import Authority

NODE_ID = "46f97a58-4028-467d-9a22-9cfe78ae3e1c"


def test_is_made_at_the_first_start_and_read_later(tmp_path: Path) -> None:
    made = NodeKey.at(tmp_path, NODE_ID)
    assert NodeKey.at(tmp_path, NODE_ID) == made
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / NAME).parent.stat().st_mode) == 0o700


def test_certificate_is_the_one_of_the_contract(tmp_path: Path) -> None:
    made = NodeKey.at(tmp_path, NODE_ID)
    found = x509.load_der_x509_certificate(made.certificate)
    assert found.subject.rfc4514_string() == found.issuer.rfc4514_string() == f"CN={NODE_ID}"
    key = found.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert found.not_valid_after_utc - found.not_valid_before_utc > dt.timedelta(days=365 * 30)
    assert made.fingerprint == hashlib.sha256(made.certificate).digest()


def test_two_nodes_have_two_keys(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert NodeKey.at(tmp_path / "a", NODE_ID).certificate != NodeKey.at(tmp_path / "b", NODE_ID).certificate


def test_nothing_of_the_key_shows_in_its_text(tmp_path: Path) -> None:
    assert "PRIVATE" not in repr(NodeKey.at(tmp_path, NODE_ID))


def test_a_start_that_was_killed_leaves_no_half_key(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / ".doorward-012345.tmp").write_bytes(b"-----BEGIN PRIV")
    made = NodeKey.at(tmp_path, NODE_ID)
    assert made.pem == (tmp_path / NAME).read_bytes()
    assert [path.name for path in (tmp_path / "cluster").iterdir()] == ["node-key.pem"]


def test_a_restored_key_takes_the_place_of_the_present_one(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old = NodeKey.at(tmp_path / "old", NODE_ID)
    NodeKey.at(tmp_path / "new", NODE_ID)
    replace(tmp_path / "new", old.pem)
    assert NodeKey.at(tmp_path / "new", NODE_ID).certificate == old.certificate


def test_what_is_no_key_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    made, other = NodeKey.at(tmp_path, NODE_ID), NodeKey.at(tmp_path / "other", NODE_ID)
    end = b"-----END PRIVATE KEY-----\n"
    mixed = made.pem.partition(end)[0] + end + other.pem.partition(end)[2]
    for pem in (b"", b"no key", made.pem.partition(end)[2], made.pem.partition(end)[0] + end, mixed):
        with pytest.raises(NodeKeyError):
            replace(tmp_path, pem)
    assert NodeKey.at(tmp_path, NODE_ID) == made


def test_a_damaged_file_is_told_and_never_made_anew(tmp_path: Path) -> None:
    NodeKey.at(tmp_path, NODE_ID)
    (tmp_path / NAME).write_bytes(b"damaged")
    with pytest.raises(NodeKeyError, match="no private key with its certificate"):
        NodeKey.at(tmp_path, NODE_ID)
    assert (tmp_path / NAME).read_bytes() == b"damaged"


def test_a_signature_proves_the_key_of_a_node_certificate_alone(tmp_path: Path) -> None:
    made = NodeKey.at(tmp_path, NODE_ID)
    signature = made.sign(b"text")
    assert proves(made.certificate, b"text", signature)
    assert not proves(made.certificate, b"another", signature)
    assert not proves(made.certificate, b"text", signature[:-1])
    assert not proves(made.certificate[:-1], b"text", signature)
    assert not proves(made.certificate + b"\0" * 4096, b"text", signature)
    assert not proves(b"", b"text", signature)


def test_a_certificate_of_an_authority_is_none_of_a_node() -> None:
    """Its own key signs, but it might issue others."""
    authority = Authority()
    der = x509.load_pem_x509_certificate(authority.pem.encode()).public_bytes(Encoding.DER)
    assert not proves(der, b"text", authority._key.sign(b"text", ec.ECDSA(SHA256())))


def test_a_certificate_that_another_signed_is_none_of_a_node() -> None:
    identity = Authority().identity("node")
    der = x509.load_pem_x509_certificate(identity.certificate.encode()).public_bytes(Encoding.DER)
    private: Any = load_pem_private_key(identity.private_key.encode(), None)
    assert not proves(der, b"text", private.sign(b"text", ec.ECDSA(SHA256())))
