"""What real clients need of errors, of the X-Token and of other resources: numbers 58 to 84 of the list."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.wire import LOGIN, NTP, TRANSACTION, WEB, Caller, Reply, check_error
from tests.support.server import Server, running

MOZILLA = "Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0; en-US) PowerShell/7.4.0"
PROTOCOLS = ("http", "ica", "rdp", "telnet", "vnc")


def failures(caller: Caller, stranger: Caller) -> list[Reply]:
    """An answer of each kind that is easily had."""
    return [
        caller.put(NTP, content=b"{"),
        caller.get(f"{NTP}?filter=1"),
        caller.delete("/api/configuration/aaa/local_database/users/-1"),
        stranger.get("/api/configuration"),
        stranger.login(password="wrong"),
        caller.put(NTP, [], headers={"User-Agent": MOZILLA}),
        caller.get("/api/nothing"),
        caller.delete(NTP),
        caller.delete(TRANSACTION),
        caller.put(NTP, [], headers={"If-Match": '"other"'}),
        caller.put(NTP, content=b"[]", headers={"Content-Type": "text/plain"}),
        caller.put(NTP, [], headers={"Expect": "a miracle"}),
    ]


def test_58_every_failure_has_type_message_and_details(server: Server, admin: Caller) -> None:
    stranger = Caller(server, address="127.0.0.58")
    statuses = []
    for answer in failures(admin, stranger):
        check_error(answer.json)
        statuses.append(answer.status)
    stranger.close()
    assert statuses == [400, 400, 400, 401, 401, 403, 404, 405, 409, 412, 415, 417]


def test_59_no_failure_has_code_or_message_on_top(server: Server, admin: Caller) -> None:
    stranger = Caller(server, address="127.0.0.59")
    for answer in failures(admin, stranger):
        assert not {name.casefold() for name in answer.json} & {"code", "message"}
    stranger.close()


UNKNOWN = [
    "nonexistent/endpoint/that/should/fail",
    "health/appliance",
    "configuration/firmware",
    "configuration/aaa/users",
    "configuration/policies/audit",
    "configuration/basicSettings",
    "configuration/logging/syslog",
    "support/bundle",
]


@pytest.mark.parametrize("path", UNKNOWN)
def test_60_guessed_paths_are_not_there(admin: Caller, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        answer = admin.call(method, f"/api/{path}").is_error(404, "NotFound", mount_point="/", path=f"/api/{path}")
        missing = {"configuration/aaa/users": "users", "configuration/policies/audit": "audit"}
        known = path.removeprefix("configuration/").partition("/")[0]
        assert answer.error["details"]["resource"] == missing.get(path, known)


AGENTS = ["PowerShell/6.0.0", "Apache-HttpClient/5.2.1 (Java/17)", "python-httpx/0.28.1", "curl/8.5.0", None]


@pytest.mark.parametrize("agent", AGENTS)
def test_62_programs_need_no_token(admin: Caller, agent: str | None) -> None:
    headers = {"User-Agent": agent} if agent else {}
    admin.post(TRANSACTION, headers=headers).ok()
    admin.put(NTP, [], headers=headers).ok()
    admin.delete(TRANSACTION, headers=headers).ok()


def test_63_browsers_write_with_the_token_only(admin: Caller) -> None:
    browser = {"User-Agent": MOZILLA}
    for method, path in (("POST", TRANSACTION), ("PUT", NTP), ("DELETE", TRANSACTION), ("DELETE", LOGIN)):
        admin.call(method, path, headers=browser).is_error(403, "Unauthorized", header="X-Token", resource=path)
        admin.call(method, path, headers={**browser, "X-Token": "0" * 40}).is_error(403, "Unauthorized", header="X-Token")
    assert admin.get(TRANSACTION, headers=browser).ok().json["body"]["status"] == "closed"
    token = admin.get("/api/user/info", headers=browser).ok().json["body"]["token"]
    with_token = {**browser, "X-Token": token}
    admin.post(TRANSACTION, headers=with_token).ok()
    admin.put(WEB, {"timeout": 12}, headers=with_token).ok()
    admin.delete(TRANSACTION, headers=with_token).ok()


def test_64_version_is_one_that_clients_know(admin: Caller) -> None:
    body = admin.body("/api/info")
    assert body["firmware_version"].startswith(("7.3.", "7.4.", "7.5.", "8.0.", "8.1.", "8.2."))
    assert isinstance(body["version"], str)


def test_66_setup_is_told_to_everybody(anybody: Caller) -> None:
    answer = anybody.get("/api/setup").ok()
    assert answer.json == {
        "meta": {"eula": None, "href": "/api/setup", "parent": "/api", "remaining_seconds": 0},
        "status": "completed",
    }


@pytest.mark.parametrize("path", ["configuration/starling", "starling/join"])
def test_81_cloud_service_is_not_there(admin: Caller, path: str) -> None:
    missing = path.rsplit("/", maxsplit=1)[-1] if path.startswith("configuration") else "starling"
    for method in ("GET", "PUT", "POST", "DELETE"):
        admin.call(method, f"/api/{path}").is_error(404, "NotFound", resource=missing)


def test_82_setup_cannot_be_posted_twice(anybody: Caller) -> None:
    anybody.post("/api/setup", {"accept_eula": True}).is_error(409, "Conflict")
    anybody.get("/api/setup").ok()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("collection", ["connections", "channel_policies"])
def test_84_connections_of_protocols_cannot_be_made_yet(admin: Caller, protocol: str, collection: str) -> None:
    path = f"/api/configuration/{protocol}/{collection}"
    answer = admin.post(path, {"name": "any"}).refuses("SemanticError", ("not_supported", ""))
    assert answer.error["details"]["errors"][0]["path"] == path
    assert admin.status() == "closed", "a refused write opens no transaction"


def test_61_blocked_and_failing_answers_are_json(tmp_path: Path) -> None:
    """The rest of the statuses that a client reads as JSON; 503 is with the server that starts."""
    with running(tmp_path / "state") as server:
        caller = Caller(server)
        caller.login().ok()
        sources = server.state / "root/etc/chrony/sources.d"
        for file in sources.iterdir():
            file.unlink()
        sources.rmdir()
        sources.write_text("in the way")
        caller.put(NTP, [{"selection": "ip", "value": "127.0.0.61"}]).ok()
        assert caller.commit().is_error(500, "ApplyFailed", restored=True).header("Content-Type") == "application/json"
        stranger = Caller(server)
        for _ in range(10):
            stranger.login(password="wrong").is_error(401, "AuthenticationFailure")
        assert stranger.login().is_error(429, "TooManyRequests").header("Content-Type") == "application/json"
        caller.close()
        stranger.close()
