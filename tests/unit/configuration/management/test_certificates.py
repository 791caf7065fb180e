"""The certificates of the appliance: which ones are refused, and which ones are worth a warning."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509 as crypto
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import doorward.configuration
from doorward.configuration import x509
from doorward.configuration.management import certificates
from doorward.host.machine import Machine
from doorward.transaction.startup import identified
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.problems import BodyRefused, Problem
from doorward.tree.registry import discover
from doorward.tree.snapshot import Snapshot
from doorward.tree.validation import check
from tests.unit.configuration.stores.material import key

TREE = discover(doorward.configuration)
FIRST, _ = identified(TREE, TREE.defaults(Machine()))
HERE = Place(certificates.PATH)
NOW = datetime.now(UTC)
STAMPING = (ExtendedKeyUsageOID.TIME_STAMPING,)


def certificate(
    kind: str = "ecdsa-p256", *, ca: bool | None = None, usage: Iterable[Any] | None = None, critical: bool = False,
    begins: int = -1, ends: int = 100, with_key: bool = True,
) -> Snapshot:  # fmt: skip
    """The first configuration with a certificate ``new``, signed by itself; times in days from now."""
    private = key(kind)
    name = crypto.Name([crypto.NameAttribute(NameOID.COMMON_NAME, "new")])
    builder = (
        crypto.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key()).serial_number(1)
        .not_valid_before(NOW + timedelta(days=begins)).not_valid_after(NOW + timedelta(days=ends))
    )  # fmt: skip
    if ca is not None:
        builder = builder.add_extension(crypto.BasicConstraints(ca=ca, path_length=None), critical=True)
    if usage is not None:
        builder = builder.add_extension(crypto.ExtendedKeyUsage(usage), critical=critical)
    made = builder.sign(private, None if kind == "ed25519" else SHA256())
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() if with_key else None
    body, _ = x509.make(x509.NewCertificate(certificate=made.public_bytes(Encoding.PEM).decode(), private_key=text))
    return FIRST.put(Place(x509.PATH, "new"), TREE.load(Place(x509.PATH, "new"), body))


def used(made: Snapshot, **members: Any) -> Snapshot:
    return made.put(HERE, TREE.load(HERE, {**made.value(certificates.PATH), **members}))


def codes(problems: Iterable[Problem]) -> list[tuple[str, str]]:
    return [(problem.code, problem.pointer) for problem in problems]


IDENTITY = {"selection": "identity", "x509_identity": "new"}
CERTIFICATE = {"selection": "certificate", "x509_certificate": "new"}


def test_what_is_made_at_the_first_start_is_in_order() -> None:
    assert list(certificates.fit(FIRST, HERE)) == []
    assert list(certificates.nothing_missing(FIRST, HERE)) == []
    assert list(certificates.ends_soon(FIRST, HERE)) == []
    assert list(certificates.foreign(FIRST, HERE)) == []


@pytest.mark.parametrize(
    ("how", "members", "expected"),
    [
        ({"ca": True}, {"ca": IDENTITY}, []),
        ({"ca": True, "with_key": False}, {"ca": CERTIFICATE}, []),
        ({"ca": True, "with_key": False}, {"ca": IDENTITY}, [("unsuitable", "/ca/x509_identity")]),
        ({"ca": False}, {"ca": CERTIFICATE}, [("unsuitable", "/ca/x509_certificate")]),
        ({}, {"ca": IDENTITY}, [("unsuitable", "/ca/x509_identity")]),
        ({}, {"server": "new"}, []),
        ({"with_key": False}, {"server": "new"}, [("unsuitable", "/server")]),
        ({"usage": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]}, {"server": "new"}, []),
        ({"usage": [ExtendedKeyUsageOID.CLIENT_AUTH]}, {"server": "new"}, [("unsuitable", "/server")]),
        ({"kind": "ed25519"}, {"server": "new"}, []),
        ({"kind": "rsa-2048"}, {"server": "new"}, []),
        ({"kind": "ecdsa-p521"}, {"server": "new"}, []),
        ({"kind": "secp256k1", "with_key": False}, {"server": "new"}, [("unsuitable", "/server"), ("unsuitable", "/server")]),
        ({"usage": STAMPING, "critical": True}, {"tsa": "new"}, []),
        ({"usage": STAMPING}, {"tsa": "new"}, [("unsuitable", "/tsa")]),
        ({"usage": [*STAMPING, ExtendedKeyUsageOID.SERVER_AUTH], "critical": True}, {"tsa": "new"}, [("unsuitable", "/tsa")]),
        ({}, {"tsa": "new"}, [("unsuitable", "/tsa")]),
        ({"begins": -9, "ends": -1}, {"server": "new"}, [("expired", "/server")]),
        ({"begins": 1}, {"server": "new"}, [("not_yet_valid", "/server")]),
    ],
)
def test_who_is_fit_for_what(how: dict[str, Any], members: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert codes(certificates.fit(used(certificate(**how), **members), HERE)) == expected


def test_none_of_the_three_is_given_up() -> None:
    empty = used(FIRST, ca=None, server=None, tsa=None)
    problems = codes(certificates.nothing_missing(empty, HERE))
    assert problems == [("required_with", "/ca"), ("required_with", "/server"), ("required_with", "/tsa")]
    assert list(certificates.fit(empty, HERE)) == []
    with pytest.raises(BodyRefused) as caught:
        check(TREE[certificates.PATH].node.adapter, {})  # type: ignore[attr-defined]
    assert codes(caught.value.problems) == [("missing", "/ca"), ("missing", "/server"), ("missing", "/tsa")]


def test_what_ends_within_a_month_is_worth_a_warning() -> None:
    assert codes(certificates.ends_soon(used(certificate(ends=29), server="new"), HERE)) == [("expires_soon", "/server")]
    assert codes(certificates.ends_soon(used(certificate(ends=31), server="new"), HERE)) == []
    assert codes(certificates.ends_soon(used(certificate(begins=-9, ends=-1), server="new"), HERE)) == []


def test_what_the_authority_did_not_sign_is_worth_a_warning() -> None:
    assert codes(certificates.foreign(used(certificate(), server="new"), HERE)) == [("not_issued_by_ca", "/server")]
    both = codes(certificates.foreign(used(certificate(ca=True), ca=CERTIFICATE), HERE))
    assert both == [("not_issued_by_ca", "/server"), ("not_issued_by_ca", "/tsa")]


def test_clients_of_the_machine_trust_the_authority_and_a_server_from_elsewhere() -> None:
    def trusted(made: Snapshot) -> list[crypto.Certificate]:
        return crypto.load_pem_x509_certificates(certificates.trusted(made).encode())

    own = x509.certificate_of(FIRST, FIRST.value(certificates.PATH)["ca"]["x509_identity"])
    foreign = used(certificate(), server="new")
    assert trusted(FIRST) == [own]
    assert trusted(foreign) == [own, x509.certificate_of(foreign, "new")]


def test_what_the_listeners_show_is_the_server_and_only_the_name_of_its_key() -> None:
    made = used(certificate(), server="new")
    shown = certificates.shown(made)
    assert shown is not None
    body = made.objects(x509.PATH).document("new")
    assert body is not None
    assert (shown.certificates, shown.private_key) == (body.value["certificate"], "new")
    assert f"SHA256:{shown.fingerprint}" == body.value["fingerprint"]
    assert encode(body.value).decode() not in repr(shown)
    assert certificates.shown(TREE.defaults(Machine())) is None
