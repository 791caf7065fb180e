"""Well formed and yet refused: SemanticError at the write and at the commit, InvalidQuery, 404, 405 and 409."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.wire import ACCOUNTING, GROUPS, NTP, PASSWORDS, TRANSACTION, USERS, WEB, ZONE, Caller

SECRET = "a long enough password"


@pytest.fixture
def no_message_needed(admin: Caller) -> Iterator[None]:
    """Puts back what a test does to commit messages."""
    yield
    admin.delete(TRANSACTION)
    admin.put(ACCOUNTING, {"require_commitlog": False}).ok()
    admin.commit("back to the default").ok()


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("PUT", "/api/configuration/aaa/saml2", {"enabled": True}),
        ("PUT", "/api/configuration/vnc/options", {}),
        ("PUT", "/api/configuration/local_services/snmp_agent", {"enabled": True}),
        ("PUT", "/api/configuration/management/snmp/trap", {"enabled": True}),
        ("PUT", "/api/configuration/network/ip_forwarding_rule_pairs", ["any"]),
        ("POST", "/api/configuration/network/ip_forwarding_rule_pairs", {"any": 1}),
        ("POST", "/api/configuration/aaa/ldap_servers", {}),
        ("POST", "/api/configuration/policies/content_policies", {"name": "x"}),
        ("POST", "/api/configuration/plugins/aa", {}),
        ("POST", "/api/configuration/telnet/connections", {"name": "x"}),
        ("PUT", "/api/configuration/aaa/login_methods/-5000", {"name": "other"}),
    ],
)
def test_what_this_release_does_not_do_is_not_supported(admin: Caller, method: str, path: str, value: object) -> None:
    answer = admin.call(method, path, value).refuses("SemanticError", ("not_supported", ""))
    (problem,) = answer.error["details"]["errors"]
    assert problem == {"code": "not_supported", "message": "Not supported by this release.", "path": path, "pointer": ""}
    assert answer.error["message"] == "1 problem prevents this change."
    assert admin.status() == "closed"


def test_reference_to_nothing_is_refused_at_the_write(admin: Caller) -> None:
    members = ["0" * 22, {"key": "-1"}, {"key": "1" * 22}]
    answer = admin.post(GROUPS, {"members": members, "name": "x"})
    answer.refuses("SemanticError", ("unknown_reference", "/members/0"), ("unknown_reference", "/members/2"))
    assert {problem["path"] for problem in answer.error["details"]["errors"]} == {GROUPS}
    wrong_kind = admin.get(GROUPS).json["items"][0]["key"]
    admin.post(USERS, {"name": "x", "password": wrong_kind}).refuses("SemanticError", ("unknown_reference", "/password"))


@pytest.mark.parametrize("path", [f"{USERS}/-1", f"{GROUPS}/-1001", "/api/configuration/policies/time_policies/-100"])
def test_built_in_objects_stay(admin: Caller, path: str) -> None:
    answer = admin.delete(path).refuses("SemanticError", ("built_in", ""))
    assert answer.error["details"]["errors"][0]["path"] == path
    assert admin.status() == "closed"


def test_built_in_objects_keep_their_names(admin: Caller) -> None:
    for path in (f"{USERS}/-1", f"{GROUPS}/-1001"):
        admin.put(path, {**admin.body(path), "name": "other"}).refuses("SemanticError", ("built_in", "/name"))


def test_admin_keeps_a_password(admin: Caller) -> None:
    admin.put(f"{USERS}/-1", {"name": "admin", "password": None}).ok()
    answer = admin.commit().refuses("SemanticError", ("required_with", "/password"))
    assert answer.error["details"]["errors"][0]["path"] == f"{USERS}/-1"
    assert answer.error["message"] == "1 problem prevents this commit."
    assert admin.status() == "open"


def test_names_are_unique_without_regard_to_case(admin: Caller) -> None:
    key = admin.post(USERS, {"name": "ADMIN"}).ok(201).json["key"]
    answer = admin.commit().refuses("SemanticError", ("duplicate", "/name"))
    assert answer.error["details"]["errors"][0]["path"] == f"{USERS}/{key}"
    assert [change["type"] for change in admin.changes()] == ["create"]


def test_message_is_required_where_the_running_configuration_says_so(admin: Caller, no_message_needed: None) -> None:
    admin.put(ACCOUNTING, {"require_commitlog": True}).ok()
    assert admin.body(TRANSACTION)["commit_message"] == "optional", "the running value counts"
    admin.commit().ok()
    assert admin.body(TRANSACTION)["commit_message"] == "required"
    admin.put(WEB, {"timeout": 11}).ok()
    for message in (None, "", " \t\n "):
        answer = admin.commit(message).refuses("SemanticError", ("message_required", "/commit_message"))
        assert answer.error["details"]["errors"][0]["path"] == TRANSACTION
    admin.commit("  why  ").ok()
    assert admin.get("/api/revisions").json["items"][0]["body"]["commit_message"] == "why"
    admin.post(TRANSACTION).ok()
    admin.commit().ok()


def test_all_problems_of_a_commit_are_told_at_once(admin: Caller, no_message_needed: None) -> None:
    admin.put(ACCOUNTING, {"require_commitlog": True}).ok()
    admin.commit().ok()
    admin.put(f"{USERS}/-1", {"name": "admin", "password": None}).ok()
    admin.post(USERS, {"name": "twin"}).ok(201)
    admin.post(USERS, {"name": "Twin"}).ok(201)
    answer = admin.commit().is_error(400, "SemanticError")
    assert sorted(answer.codes) == [
        ("duplicate", "/name"),
        ("duplicate", "/name"),
        ("message_required", "/commit_message"),
        ("required_with", "/password"),
    ]
    assert answer.error["message"] == "4 problems prevent this commit."


def test_password_has_one_owner(admin: Caller) -> None:
    secret = admin.post(PASSWORDS, {"plain": SECRET}).ok(201).json["key"]
    for name in ("one", "two"):
        admin.post(USERS, {"name": name, "password": secret}).ok(201)
    answer = admin.commit().is_error(400, "SemanticError")
    assert set(answer.codes) == {("referenced_twice", "/password")}


@pytest.mark.parametrize("plain", ["short", "password1234", "somebody-new"])
def test_weak_password_is_refused_when_it_gets_an_owner(admin: Caller, plain: str) -> None:
    secret = admin.post(PASSWORDS, {"plain": plain}).ok(201).json["key"]
    admin.post(USERS, {"name": "somebody-new", "password": secret}).ok(201)
    answer = admin.commit().is_error(400, "SemanticError")
    assert set(answer.codes) == {("weak_password", "/password")}
    assert plain not in answer.body.decode()


def test_password_in_hash_form_is_refused_and_not_repeated(admin: Caller) -> None:
    hashed = "$6$rounds=5000$salt$hash"
    for body in ({"hash": hashed}, {"hash": hashed, "plain": SECRET}):
        answer = admin.post(PASSWORDS, body).is_error(400, "SemanticError")
        assert answer.codes == [("not_supported", "")]
        assert hashed not in answer.body.decode()


@pytest.mark.parametrize("path", ["/api/configuration", NTP, f"{USERS}/-1", USERS])
@pytest.mark.parametrize("query", ["filter=1", "filter", "fields=*&limit=2", "="])
def test_configuration_takes_no_query(admin: Caller, path: str, query: str) -> None:
    answer = admin.get(f"{path}?{query}").is_error(400, "InvalidQuery")
    problems = answer.error["details"]["errors"]
    assert {problem["code"] for problem in problems} == {"unknown_parameter"}
    assert {problem["parameter"] for problem in problems} == {pair.partition("=")[0] for pair in query.split("&")}


def test_query_is_refused_on_writes_too(admin: Caller) -> None:
    admin.put(f"{NTP}?x=1", []).is_error(400, "InvalidQuery")
    admin.post(f"{NTP}?x=1", []).is_error(400, "InvalidQuery")
    admin.delete(f"{USERS}/-1?x=1").is_error(400, "InvalidQuery")
    assert admin.status() == "closed"


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=", "before=-1", "before=0", "limit=1.0", "limit=²"])
def test_history_takes_numbers_in_range_only(admin: Caller, query: str) -> None:
    name = query.partition("=")[0]
    target = "/api/revisions?" + query.replace("²", "%C2%B2")
    (problem,) = admin.get(target).is_error(400, "InvalidQuery").error["details"]["errors"]
    assert (problem["code"], problem["parameter"]) == ("range", name)


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("/api/nothing", "nothing"),
        ("/api/nothing/at/all", "nothing"),
        ("/nothing", "nothing"),
        ("/api/Configuration", "Configuration"),
        ("/api/configuration/datetime/ntp", "ntp"),
        (f"{NTP}/0", "0"),
        (f"{NTP}/a/b", "a"),
        (f"{USERS}/none", "none"),
        (f"{USERS}/-1/name", "name"),
        (f"{USERS}/none/name", "none"),
        (f"{PASSWORDS}/none", "none"),
        ("/api/configuration/../configuration", ".."),
        ("/api/./configuration", "."),
        ("/api/revisions/999999", "999999"),
        ("/api/revisions/01", "01"),
        ("/api/revisions/1/nothing", "nothing"),
        ("/api/commits/none", "none"),
        ("/api/transaction/nothing", "nothing"),
        ("/api/configuration%2Fdatetime", "configuration/datetime"),
    ],
)
def test_not_found_names_the_first_missing_element(admin: Caller, path: str, missing: str) -> None:
    answer = admin.get(path).is_error(404, "NotFound", resource=missing, mount_point="/")
    if "%" not in path:
        assert answer.error["details"]["path"] == answer.meta["href"] == path


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", NTP, "GET, HEAD, OPTIONS, POST, PUT"),
        ("DELETE", NTP, "GET, HEAD, OPTIONS, POST, PUT"),
        ("DELETE", ZONE, "GET, HEAD, OPTIONS, PUT"),
        ("POST", ZONE, "GET, HEAD, OPTIONS, PUT"),
        ("PUT", "/api/configuration/datetime", "GET, HEAD, OPTIONS"),
        ("POST", "/api/configuration", "GET, HEAD, OPTIONS"),
        ("PUT", USERS, "GET, HEAD, OPTIONS, POST"),
        ("DELETE", USERS, "GET, HEAD, OPTIONS, POST"),
        ("POST", f"{USERS}/-1", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("GET", PASSWORDS, "OPTIONS, POST"),
        ("HEAD", PASSWORDS, "OPTIONS, POST"),
        ("PUT", "/api/configuration/management/license", "GET, HEAD, OPTIONS"),
        ("PUT", "/api/info", "GET, HEAD, OPTIONS"),
        ("POST", "/api/authentication", "DELETE, GET, HEAD, OPTIONS"),
        ("TRACE", TRANSACTION, "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        ("PROPFIND", "/api", "GET, HEAD, OPTIONS"),
    ],
)
def test_method_not_allowed_names_those_that_are(admin: Caller, method: str, path: str, allow: str) -> None:
    answer = admin.call(method, path)
    assert (answer.status, answer.header("Allow")) == (405, allow)
    if method != "HEAD":
        answer.is_error(405, "MethodNotAllowed", method=method, resource=path)


@pytest.mark.parametrize("order", [{"status": "commit"}, {"status": "commit", "confirm_seconds": 10}])
def test_commit_without_transaction_is_a_conflict(admin: Caller, order: dict[str, object]) -> None:
    answer = admin.put(TRANSACTION, order).is_error(409, "Conflict", resource=TRANSACTION)
    assert answer.error["message"] == "No transaction is open."


def test_discard_without_transaction_is_a_conflict(admin: Caller) -> None:
    admin.delete(TRANSACTION).is_error(409, "Conflict", resource=TRANSACTION)


def test_confirm_without_pending_commit_is_a_conflict(admin: Caller) -> None:
    admin.put(TRANSACTION, {"status": "confirm"}).is_error(409, "Conflict")
