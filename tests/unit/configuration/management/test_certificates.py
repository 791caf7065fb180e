"""The certificates of the appliance: which ones are refused, and which ones are worth a warning."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509 as crypto
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import doorward.configuration
from doorward.configuration import x509
from doorward.configuration.management import certificates
from doorward.configuration.network.naming import PATH as NAMING
from doorward.events.certificates import in_use
from doorward.host.machine import Machine
from doorward.transaction.startup import identified
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, Problem
from doorward.tree.registry import discover
from doorward.tree.snapshot import Snapshot
from doorward.tree.validation import check
from tests.unit.configuration.material import PSS, key, made_by_openssl

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
    with pytest.raises(InvalidBody) as caught:
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


def chained(*, leaf: tuple[int, int] = (-1, 100), issuer: tuple[int, int] = (-1, 100)) -> Snapshot:
    """The first configuration with a certificate ``new`` and its issuer behind it; times in days from now."""
    private, above = key("ecdsa-p256"), key("ecdsa-p256", 1)

    def signed(name: str, public: Any, days: tuple[int, int], *, ca: bool) -> str:
        named, root = (crypto.Name([crypto.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, "issuer"))
        builder = (
            crypto.CertificateBuilder().subject_name(named).issuer_name(root).public_key(public).serial_number(1)
            .not_valid_before(NOW + timedelta(days=days[0])).not_valid_after(NOW + timedelta(days=days[1]))
            .add_extension(crypto.BasicConstraints(ca=ca, path_length=None), critical=True)
        )  # fmt: skip
        return builder.sign(above, SHA256()).public_bytes(Encoding.PEM).decode()

    texts = signed("new", private.public_key(), leaf, ca=False) + signed("issuer", above.public_key(), issuer, ca=True)
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    body, _ = x509.make(x509.NewCertificate(certificate=texts, private_key=secret))
    return used(FIRST.put(Place(x509.PATH, "new"), TREE.load(Place(x509.PATH, "new"), body)), server="new")


def test_a_chain_is_good_as_long_as_all_of_it() -> None:
    assert list(certificates.fit(chained(), HERE)) == list(certificates.ends_soon(chained(), HERE)) == []
    [ended] = certificates.fit(chained(issuer=(-9, -1)), HERE)
    assert (ended.code, ended.pointer) == ("expired", "/server")
    assert ended.message.startswith("Certificate 2 of the chain, CN=issuer, ended on ")
    assert codes(certificates.fit(chained(issuer=(1, 9)), HERE)) == [("not_yet_valid", "/server")]
    [soon] = certificates.ends_soon(chained(issuer=(-9, 29)), HERE)
    assert (soon.code, soon.pointer) == ("expires_soon", "/server")
    assert soon.message.startswith("Certificate 2 of the chain, CN=issuer, ends on ")
    assert codes(certificates.ends_soon(chained(leaf=(-9, 20), issuer=(-9, 29)), HERE)) == [("expires_soon", "/server")]


def test_an_alert_is_due_when_the_first_of_a_chain_ends() -> None:
    [found] = [one for one in in_use(chained(issuer=(-9, 14))) if "server" in one.name]
    assert found.name == "The TLS certificate of the server, by its issuer CN=issuer,"
    assert found.end == (NOW + timedelta(days=14)).replace(microsecond=0)
    [own] = [one for one in in_use(chained(leaf=(-9, 7), issuer=(-9, 14))) if "server" in one.name]
    assert (own.name, own.end) == ("The TLS certificate of the server", (NOW + timedelta(days=7)).replace(microsecond=0))


@pytest.mark.parametrize(
    ("said", "wanted", "is_right"),
    [
        ("gate.example.com", "gate.example.com", True),
        ("GATE.Example.COM", "gate.example.com", True),
        ("*.example.com", "gate.example.com", True),
        ("*.EXAMPLE.com", "gate.example.com", True),
        ("*.example.com", "a.gate.example.com", False),
        ("*.example.com", "example.com", False),
        ("g*.example.com", "gate.example.com", False),
        ("*", "gate", False),
        ("*.com", "example.com", False),
        ("gate.*.com", "gate.example.com", False),
        ("xn--bcher-kva.example.com", "xn--bcher-kva.example.com", True),
        ("*.xn--bcher-kva.example", "gate.xn--bcher-kva.example", True),
        ("gate", "gate", True),
        ("192.0.2.1", "192.0.2.1", False),  # an address as a name is none
        ("", "gate", False),
    ],
)
def test_names_are_compared_as_clients_do(said: str, wanted: str, is_right: bool) -> None:
    assert certificates.is_for([crypto.DNSName(said)], wanted) is is_right


def test_addresses_are_compared_as_addresses() -> None:
    said = [crypto.IPAddress(ip_address("2001:db8::1")), crypto.IPAddress(ip_address("192.0.2.1"))]
    assert certificates.is_for(said, "2001:db8:0::1")
    assert certificates.is_for(said, "192.0.2.1")
    assert not certificates.is_for(said, "192.0.2.2")


def test_a_server_for_every_name_of_the_domain_is_worth_no_warning() -> None:
    naming = FIRST.put(Place(NAMING), TREE.load(Place(NAMING), {
        **FIRST.value(NAMING), "hostname": "gate", "domainname": "example.com"
    }))  # fmt: skip
    own = [crypto.IPAddress(ip_address(one)) for one in certificates.names(FIRST) if ":" in one or one[0].isdigit()]
    for name, expected in {"*.example.com": [], "GATE.EXAMPLE.COM": [], "*.example.org": [("name_mismatch", "/server")]}.items():
        body, _ = x509.make(x509.NewCertificate(certificate=named(crypto.DNSName(name), *own)))
        snapshot = naming.put(Place(x509.PATH, "new"), TREE.load(Place(x509.PATH, "new"), body))
        assert codes(certificates.names_missing(used(snapshot, server="new"), HERE)) == expected, name


def named(*names: crypto.GeneralName) -> str:
    private = key("ecdsa-p256")
    subject = crypto.Name([crypto.NameAttribute(NameOID.COMMON_NAME, "new")])
    builder = (
        crypto.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(private.public_key()).serial_number(1)
        .not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
        .add_extension(crypto.SubjectAlternativeName(names), critical=False)
    )  # fmt: skip
    return builder.sign(private, SHA256()).public_bytes(Encoding.PEM).decode()


def test_a_server_key_for_rsa_pss_alone_is_not_fit_however_it_came_here() -> None:
    """RSA-PSS: posted without its key, or from an archive."""
    body, _ = x509.make(x509.NewCertificate(certificate=made_by_openssl(*PSS)[0]))
    made = FIRST.put(Place(x509.PATH, "new"), TREE.load(Place(x509.PATH, "new"), body | {"has_private_key": True}))
    [problem] = certificates.fit(used(made, server="new"), HERE)
    assert (problem.code, problem.pointer) == ("unsuitable", "/server")
