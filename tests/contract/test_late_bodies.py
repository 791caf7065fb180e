"""Requests whose last byte comes when their login session, or their right, is gone: every route, none is carried out."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest

from tests.contract.walk import everything
from tests.contract.wire import GROUPS, LOGIN, PASSWORDS, USERS, Caller, Reply, logged_in, make_user
from tests.support.server import PASSWORD, QUICK, Server, running

ACLS = "/api/configuration/aaa/acls"
SECRET = "a long enough password"
BODY = b"{} "
ANONYMOUS = {"/api/setup"}
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="backup"\r\n\r\nabc\r\n--x--\r\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("late") / "state", launcher=QUICK) as server:
        yield server


class Late:
    """A request that is sent but for the last byte of its body, which the server awaits."""

    def __init__(self, server: Server, cookie: str, method: str, path: str, body: bytes = BODY, **headers: str) -> None:
        self.method, self.path, self._body = method, path, body
        self._caller = Caller(server)
        given = {"Host": "127.0.0.1", "Cookie": f"session_id={cookie}", "Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self._connection = self._caller.connect()
        self._connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body[:-1])

    def finish(self) -> Reply:
        """Send the last byte and return the answer."""
        self._connection.sendall(self._body[-1:])
        with HTTPResponse(self._connection, method=self.method) as response:
            response.begin()
            reply = Reply(self.method, response.status, response.reason, response.getheaders(), response.read())
        self._caller.close()
        return reply


def routes(admin: Caller) -> list[tuple[str, str]]:
    """Every method with a body, of every resource there is."""
    found: list[tuple[str, str]] = []
    for path in everything(admin):
        methods = admin.call("OPTIONS", path).ok().header("Allow").split(", ")
        found += [(method, path) for method in ("POST", "PUT") if method in methods and path not in ANONYMOUS]
    assert len(found) > 100
    return found


def waiting(server: Server, caller: Caller, wanted: list[tuple[str, str]]) -> list[Late]:
    late = [Late(server, caller.cookie, method, path) for method, path in wanted]
    late.append(
        Late(
            server, caller.cookie, "POST", "/api/upload/backup", MULTIPART, **{"Content-Type": "multipart/form-data; boundary=x"}
        )
    )
    late.append(Late(server, caller.cookie, "PUT", "/api/transaction", b'{"status":"commit"}'))
    late.append(Late(server, caller.cookie, "POST", "/api/backup/exports", b'{"encryption":{"selection":"none"}}'))
    caller.get("/api/user/info").ok()  # by now the server has what came before
    return late


def outcomes(late: list[Late]) -> dict[tuple[str, str], int]:
    return {(one.method, one.path): one.finish().status for one in late}


def made(admin: Caller) -> dict[str, Any]:
    """What such requests would have left behind."""
    paths = [f"/api/backup/{name}" for name in ("drills", "exports", "restores", "runs", "signing_keys", "uploads")]
    paths += ["/api/troubleshooting/support-bundle", "/api/cluster/nodes", "/api/revisions?limit=1"]
    return {path: admin.get(path).ok().json["items"] for path in paths}


def test_nothing_is_carried_out_for_a_session_that_was_logged_out(server: Server) -> None:
    admin, leaving = logged_in(server), logged_in(server)
    before = made(admin)
    late = waiting(server, leaving, routes(admin))
    other = Caller(server)
    other.cookie = leaving.cookie
    other.delete(LOGIN).ok()
    assert set(outcomes(late).values()) == {401}
    assert made(admin) == before
    for caller in (admin, leaving, other):
        caller.close()


def test_nothing_is_carried_out_for_an_account_whose_password_was_changed(server: Server) -> None:
    """Not even what only ``admin`` may, and has its answer from the event loop at once."""
    admin, leaving = logged_in(server), logged_in(server)
    wanted = routes(admin)
    late = waiting(server, leaving, wanted)
    secret = admin.post(PASSWORDS, {"plain": SECRET}).ok(201).json["key"]
    admin.put(f"{USERS}/-1", {"name": "admin", "password": secret}).ok()
    admin.commit().ok()
    assert set(outcomes(late).values()) == {401}
    again = logged_in(server, "admin", SECRET)
    [warning] = again.post("/api/revisions/1/restore").ok().meta["warnings"]
    assert (warning["code"], "now: admin." in warning["message"]) == ("other_password", True)
    again.commit("back to the first password").ok()
    logged_in(server, "admin", PASSWORD).close()
    for caller in (admin, leaving, again):
        caller.close()


def test_nothing_is_carried_out_for_an_account_that_lost_its_rights(server: Server) -> None:
    admin = logged_in(server)
    writing = [item["key"] for item in admin.get(GROUPS).json["items"] if item["body"]["name"].endswith("-write")]
    make_user(admin, "jane", SECRET, *writing)
    admin.commit("jane may write everything").ok()
    jane = logged_in(server, "jane", SECRET)
    only_admin = {("POST", "/api/revisions/1/restore")}
    before = made(admin)
    late = waiting(server, jane, [route for route in routes(admin) if route not in only_admin])
    admin.put(ACLS, []).ok()
    admin.commit("nobody but admin may do anything").ok()
    assert set(outcomes(late).values()) == {403}
    after = made(admin)
    assert after.pop("/api/revisions?limit=1") != before.pop("/api/revisions?limit=1")
    assert after == before
    for caller in (admin, jane):
        caller.close()
