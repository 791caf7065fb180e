"""The web services and the certificates over the wire: what is shown at first, what is refused, and when it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.wire import Caller
from tests.unit.configuration.material import certificate, key, pem, text

ROOT = "/api/configuration"
ADMIN_WEB, USER_WEB = f"{ROOT}/local_services/admin_web", f"{ROOT}/local_services/user_web"
CERTIFICATES, X509 = f"{ROOT}/management/certificates", f"{ROOT}/x509"
NICS = f"{ROOT}/network/nics"
NOWHERE = "nic1.interfaces.none.addresses.none"


def line(admin: Caller, **members: Any) -> dict[str, Any]:
    """The one line of the server, with other members."""
    [found] = admin.body(ADMIN_WEB)["listen"]
    return {**found, **members}


def web(*lines: Any) -> dict[str, Any]:
    return {"access_restriction": {"enabled": False}, "listen": list(lines)}


def test_the_server_shows_where_it_listens(admin: Caller) -> None:
    [line] = admin.body(ADMIN_WEB)["listen"]
    reference = line.pop("address")
    assert line == {"http_port": None, "https_port": admin.server.port}
    nic, interfaces, interface, addresses, address = reference["key"].split(".")
    assert (interfaces, addresses) == ("interfaces", "addresses")
    assert reference["meta"] == {"href": f"{NICS}/{nic}#interfaces/{interface}/addresses/{address}"}
    assert admin.body(f"{NICS}/{nic}")["interfaces"][interface]["addresses"][address] == "127.0.0.1/8"
    assert admin.body(USER_WEB) == web()


def test_the_server_shows_the_certificates_that_it_made(admin: Caller) -> None:
    body = admin.body(CERTIFICATES)
    assert set(body) == {"ca", "server", "tsa"}
    assert (body["ca"]["selection"], set(body["ca"])) == ("identity", {"selection", "x509_identity"})
    for reference in (body["ca"]["x509_identity"], body["server"], body["tsa"]):
        assert reference["meta"]["href"] == f"{X509}/{reference['key']}"
        found = admin.body(reference["meta"]["href"])
        assert (found["has_private_key"], found["owners"]) == (True, [CERTIFICATES])
        assert found["issuer"] == admin.body(body["ca"]["x509_identity"]["meta"]["href"])["subject"]
        assert int(found["not_after"][:4]) - int(found["not_before"][:4]) in {9, 10}


def test_an_address_is_a_reference_to_one(admin: Caller) -> None:
    admin.put(ADMIN_WEB, web(line(admin, address=NOWHERE))).refuses("SemanticError", ("unknown_reference", "/listen/0/address"))
    admin.put(ADMIN_WEB, web(line(admin, address="nic1"))).refuses("InvalidRequestBody", ("format", "/listen/0/address"))
    bare = line(admin)["address"]["key"]
    admin.put(ADMIN_WEB, web(line(admin, address=bare, http_port=8080))).ok()
    assert admin.body(ADMIN_WEB)["listen"][0]["address"]["key"] == bare


def test_the_last_line_stays(admin: Caller) -> None:
    admin.put(ADMIN_WEB, web()).refuses("InvalidRequestBody", ("length", "/listen"))
    admin.put(USER_WEB, web()).ok()


def test_a_port_belongs_to_one_service(admin: Caller) -> None:
    admin.put(USER_WEB, web(line(admin, http_port=8080))).ok()
    refused = admin.commit().refuses("SemanticError", ("port_conflict", "/listen/0/https_port"))
    assert [problem["path"] for problem in refused.error["details"]["errors"]] == [USER_WEB]
    assert [problem["code"] for problem in admin.body("/api/transaction/plan")["problems"]] == ["port_conflict"]
    admin.put(USER_WEB, web(line(admin))).ok()
    plan = admin.body("/api/transaction/plan")
    assert plan["problems"] == []
    where = f"127.0.0.1:{admin.server.port}"
    actions = [(one["action"], one["effect"]) for one in plan["actions"]]
    assert actions == [(f"change admin_web and user_web at {where}", "listener")]


@pytest.mark.parametrize(
    ("member", "codes"),
    [
        ("ca", [("unsuitable", "/ca/x509_certificate")]),
        ("server", [("unsuitable", "/server")]),
        ("tsa", [("unsuitable", "/tsa"), ("unsuitable", "/tsa")]),
    ],
)
def test_certificates_must_be_able_to_do_what_they_are_for(admin: Caller, member: str, codes: list[tuple[str, str]]) -> None:
    new = admin.post(X509, {"certificate": text(certificate("new", key("ecdsa-p256")))}).ok(201).json["key"]
    value = {"selection": "certificate", "x509_certificate": new} if member == "ca" else new
    admin.put(CERTIFICATES, {**admin.body(CERTIFICATES), member: value}).ok()
    admin.commit().refuses("SemanticError", *codes)


def test_none_of_the_three_is_given_up(admin: Caller) -> None:
    admin.put(CERTIFICATES, {"ca": admin.body(CERTIFICATES)["ca"]}).refuses(
        "InvalidRequestBody", ("missing", "/server"), ("missing", "/tsa")
    )
    admin.put(CERTIFICATES, {**admin.body(CERTIFICATES), "server": None}).ok()
    admin.commit().refuses("SemanticError", ("required_with", "/server"))


def test_what_is_warned_of_stops_nothing(admin: Caller) -> None:
    signer = key("ecdsa-p256")
    new = admin.post(X509, {"certificate": text(certificate("new", signer)), "private_key": pem(signer)}).ok(201).json["key"]
    admin.put(CERTIFICATES, {**admin.body(CERTIFICATES), "server": new}).ok()
    plan = admin.body("/api/transaction/plan")
    assert plan["problems"] == []
    warned = sorted((warning["code"], warning["path"], warning["pointer"]) for warning in plan["warnings"])
    assert warned == [("name_mismatch", CERTIFICATES, "/server"), ("not_issued_by_ca", CERTIFICATES, "/server")]
