"""One shape over every route and every method (sections 1, 2, 3 and 10). The client of these tests looks at each answer."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest

from tests.contract.walk import everything
from tests.contract.wire import (
    ACCOUNTING,
    GROUPS,
    LOGIN,
    NTP,
    PASSWORDS,
    TRANSACTION,
    USERS,
    WEB,
    WHOLE,
    ZONE,
    Caller,
    check_error,
)
from tests.support.server import Server

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
UNKNOWN = (
    "/nothing",
    "/api/nothing",
    "/api/nothing/below",
    "/api/configuration/nothing",
    f"{USERS}/nothing",
    "/favicon.ico",
)
ANONYMOUS = {
    LOGIN: {"GET", "HEAD", "OPTIONS"},
    f"{LOGIN}/login_methods": {"GET", "HEAD", "OPTIONS"},
    "/api/info": {"GET", "HEAD", "OPTIONS"},
    "/api/setup": {"GET", "HEAD", "OPTIONS", "POST"},
}
STORES = (PASSWORDS, "/api/configuration/private_keys", "/api/configuration/x509")
SIBLINGS = ("first", "last", "next", "previous")


def changing(path: str, method: str) -> bool:
    """Whether a request without body would end the login session or change what the next one finds."""
    return (path, method) in {(LOGIN, "DELETE"), (TRANSACTION, "DELETE"), ("/api/revisions/1/restore", "POST")}


def parent_of(path: str) -> str | None:
    return None if path in {"/api", "/api/configuration"} else path.rpartition("/")[0] or None


@pytest.fixture
def paths(admin: Caller) -> list[str]:
    found = everything(admin)
    assert {NTP, ZONE, USERS, f"{USERS}/-1", PASSWORDS, ACCOUNTING, LOGIN, "/api/commits", "/api/user/info"} < set(found)
    assert len(found) > 150
    return found


def test_every_method_of_every_resource_has_the_shape(admin: Caller, paths: list[str]) -> None:
    for path in paths:
        options = admin.call("OPTIONS", path).ok()
        allowed = options.header("Allow")
        assert options.json.keys() == {"meta"}
        assert options.meta.keys() == {"href", "parent", "remaining_seconds"}
        assert (options.meta["href"], options.meta["parent"]) == (path, parent_of(path))
        for method in METHODS:
            if changing(path, method):
                continue
            answer = admin.call(method, path, headers={"Content-Length": "0"})
            assert answer.header("Allow") == allowed, (method, path)
            assert (answer.status == 405) == (method not in allowed.split(", ")), (method, path, answer.status)
            if method == "HEAD" or path in {"/api/metrics", "/api/openapi.json"}:
                continue
            assert answer.meta["parent"] == parent_of(answer.meta["href"])
            is_setup = path == "/api/setup" and answer.status == 200 and method == "GET"
            assert answer.meta["remaining_seconds"] in ((0,) if is_setup else WHOLE), (method, path)


def test_every_unknown_path_has_the_shape(admin: Caller) -> None:
    for path in UNKNOWN:
        for method in METHODS:
            answer = admin.call(method, path)
            assert answer.status == 404
            if method != "HEAD":
                answer.is_error(404, "NotFound", path=path, mount_point="/")
                assert answer.meta["remaining_seconds"] in WHOLE


def test_without_login_everything_else_is_401(server: Server, anybody: Caller, paths: list[str]) -> None:
    for path in (*paths, *UNKNOWN):
        for method in METHODS:
            answer = anybody.call(method, path)
            assert not answer.all("Set-Cookie")
            if method in ANONYMOUS.get(path, ()):
                assert answer.status in ({401} if path == LOGIN and method != "OPTIONS" else {200, 409}), (method, path)
                continue
            assert answer.status == 401, (method, path)
            assert answer.header("WWW-Authenticate") == 'Basic realm="Doorward"'
            if method != "HEAD":
                answer.is_error(401, "Unauthenticated", resource=path)
                assert "remaining_seconds" not in answer.meta


def test_second_spelling_answers_as_the_first(admin: Caller) -> None:
    for method in ("GET", "OPTIONS", "PUT"):
        first, second = (admin.call(method, f"/api/{name}") for name in ("health_status", "health-status"))
        assert (first.status, first.json["meta"]) == (second.status, second.json["meta"])


def test_script_in_a_browser_gets_no_dialog(anybody: Caller) -> None:
    script = {"X-Requested-With": "XMLHttpRequest"}
    for path in (LOGIN, NTP, "/api/nothing"):
        assert anybody.get(path, headers=script).is_error(401, "Unauthenticated").header("WWW-Authenticate") == "Session"


def test_head_is_get_without_the_body(admin: Caller, paths: list[str]) -> None:
    changing_headers = {"date", "set-cookie", "x-request-id"}
    volatile = {"/api/health_status", "/api/metrics", "/api/time_status"}
    for path in paths:
        get, head = admin.get(path), admin.call("HEAD", path)
        assert head.status == get.status
        if get.status == 405:  # names the method
            continue
        skipped = changing_headers | ({"content-length"} if path in volatile else set())
        fields = [{(n.lower(), v) for n, v in reply.headers if n.lower() not in skipped} for reply in (get, head)]
        assert fields[0] == fields[1], path


def test_siblings_are_chained_and_only_in_the_configuration(admin: Caller, paths: list[str]) -> None:
    for path in paths:
        answer = admin.get(path)
        if answer.status != 200 or not answer.body.startswith(b"{") or "meta" not in answer.json:
            continue
        if path.startswith("/api/audit/sessions"):  # there they are pages
            continue
        inside = path.startswith("/api/configuration")
        assert set(SIBLINGS) & answer.meta.keys() == (set(SIBLINGS) if inside else set()), path
        assert ("transaction" in answer.meta) == (inside or path == "/api/transaction/changes")
        if not inside or not answer.json.get("items"):
            continue
        children = [item["meta"]["href"] for item in answer.json["items"]]
        if not children[0].rpartition("/")[2].startswith("-"):  # objects are in order of creation
            assert children == sorted(children)
        for before, after in pairwise([None, *children, None]):
            if before is not None:
                assert neighbours(admin, before, path, children)["next"] == after
            if after is not None:
                assert neighbours(admin, after, path, children)["previous"] == before


def neighbours(caller: Caller, path: str, parent: str, children: list[str]) -> Any:
    """The sibling links of a child; those of stores that can't be read come from their place among the children."""
    if path in STORES:
        around = [None, *children, None]
        index = around.index(path)
        return {"previous": around[index - 1], "next": around[index + 1]}
    meta = caller.get(path).ok().meta
    assert (meta["first"], meta["last"], meta["parent"]) == (children[0], children[-1], parent)
    return meta


def test_root_and_unlisted_have_no_neighbours(admin: Caller) -> None:
    root = admin.get("/api/configuration").meta
    assert [root[name] for name in ("first", "last", "next", "previous", "parent")] == [
        *["/api/configuration"] * 2,
        None,
        None,
        None,
    ]
    accounting, management = admin.get(ACCOUNTING).meta, "/api/configuration/management"
    assert [accounting[name] for name in ("first", "last", "next", "previous", "parent")] == [
        f"{management}/certificates", f"{management}/webinterface", None, None, management,
    ]  # fmt: skip
    assert ACCOUNTING not in [item["meta"]["href"] for item in admin.get(management).json["items"]]


def test_secret_is_its_own_only_neighbour(admin: Caller) -> None:
    for plain in ("the first one of two", "the second one of two"):
        made = admin.post(PASSWORDS, {"plain": plain}).ok(201)
        href = made.header("Location")
        assert re.fullmatch(rf"{PASSWORDS}/[0-9a-f]{{8}}-[0-9a-f-]{{27}}", href)
        assert [made.meta[name] for name in SIBLINGS] == [href, href, None, None]
        assert made.meta["parent"] == PASSWORDS
        answer = admin.get(href).ok()
        assert answer.json == made.json
        assert (answer.json["body"]["form"], answer.json["body"]["owner"]) == ("plain", None)
        assert plain not in answer.body.decode()


def test_first_level_of_the_tree(admin: Caller) -> None:
    names = (
        "aaa alerting datetime http ica local_services management mssql network passwords plugins policies private_keys "
        "rdp reporting ssh telnet troubleshooting vnc x509"
    )
    assert [item["key"] for item in admin.get("/api/configuration").json["items"]] == names.split()


def test_children_of_the_api_are_those_of_the_contract(admin: Caller) -> None:
    served = (
        "audit authentication backup cluster commits configuration firmware health_status info revisions setup ssh-host-keys "
        "time_status tools transaction troubleshooting upload user"
    )
    may_come = "firmware ssh-host-keys tools troubleshooting upload"
    keys = [item["key"] for item in admin.get("/api").json["items"]]
    assert keys == sorted(keys)
    assert set(served.split()) <= set(keys) <= {*served.split(), *may_come.split()}


def test_objects_are_listed_in_order_of_creation(admin: Caller) -> None:
    made = [admin.post(USERS, {"name": name}).ok(201).json["key"] for name in ("zebra", "ant", "mouse")]
    assert [item["key"] for item in admin.get(USERS).json["items"]] == ["-1", *made]
    admin.put(f"{USERS}/{made[0]}", {"name": "zebu"}).ok()
    assert [item["key"] for item in admin.get(USERS).json["items"]] == ["-1", *made]
    meta = admin.get(f"{USERS}/{made[1]}").meta
    assert (meta["previous"], meta["next"]) == (f"{USERS}/{made[0]}", f"{USERS}/{made[2]}")
    assert (meta["first"], meta["last"]) == (f"{USERS}/-1", f"{USERS}/{made[2]}")


def test_text_is_not_escaped_and_members_are_sorted(admin: Caller) -> None:
    group = admin.get(GROUPS).json["items"][0]["key"]
    answer = admin.put(f"{GROUPS}/{group}", {"ümlaut": 1, "name": "basic-view"}).ok()
    assert "/ümlaut".encode() in answer.body
    assert admin.put(WEB, {"z": 1, "timeout": 10, "a": 1}).ok().body.index(b'"/a"')


def test_requests_behind_each_other_on_one_connection_are_answered_in_order(admin: Caller) -> None:
    """Pipelining: the fast reading of the configuration must not overtake the write before it."""
    cookie = f"Host: localhost\r\nCookie: session_id={admin.cookie}\r\n"
    write = f"PUT {WEB} HTTP/1.1\r\n{cookie}Content-Length: 14\r\n\r\n" + '{"timeout":33}'
    read = f"GET {WEB} HTTP/1.1\r\n{cookie}Connection: close\r\n\r\n"
    connection = admin.connect()
    connection.sendall((write + read).encode())
    received = b""
    while data := connection.recv(65536):
        received += data
    admin.close()
    assert [m.decode() for m in re.findall(rb"HTTP/1.1 (\d+)", received)] == ["200", "200"]
    assert re.findall(rb'"timeout":(\d+)', received) == [b"33", b"33"]


def test_identifiers_of_requests_differ(admin: Caller) -> None:
    ids = {admin.get(path).header("X-Request-Id") for path in (NTP, NTP, TRANSACTION, "/api/nothing", NTP)}
    assert len(ids) == 5


def test_shapes_that_are_wrong_are_seen() -> None:
    """The look at every answer is not blind."""
    error: dict[str, Any] = {"details": {}, "message": "A sentence.", "type": "Kind"}
    meta = {"href": "/", "parent": None}
    check_error({"error": error, "meta": meta})
    for wrong in ({"Code": 1, "error": error, "meta": meta}, {"error": {**error, "more": 1}, "meta": meta}, {"error": error}):
        with pytest.raises(AssertionError):
            check_error(wrong)
