"""The application: its checks in their order, and what becomes of errors."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from doorward.access.accounts import Account
from doorward.access.rights import Rights
from doorward.api.app import Application
from doorward.api.request import LocalFile, Request, Response
from doorward.api.resources import Container, Operation, Resource, meta
from doorward.transaction.queue import QueueTimeoutError
from doorward.tree.problems import Problem, SemanticError
from tests.support.accounts import logins
from tests.unit.api.asgi import Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THING, FILE, OPEN = "/api/thing", "/api/file", "/api/info"


class Thing(Resource):
    """Answers what it is told to, and counts how often."""

    operations = {"GET": Operation("Look.", {}), "PUT": Operation("Write.", {}, body={})}
    privilege = "/special/thing"

    def __init__(self) -> None:
        self.fails: BaseException | None = None
        self.written = 0
        self.allowed = True

    def may_read(self, request: Request) -> bool:
        del request
        return self.allowed

    def may_write(self, request: Request) -> bool:
        return self.may_read(request)

    async def get(self, request: Request) -> Response:
        if self.fails is not None:
            raise self.fails
        return Response({"meta": meta(request)})

    async def put(self, request: Request) -> Response:
        await request.read()
        self.written += 1
        return Response({"meta": meta(request)})


class Open(Resource):
    """Needs no login."""

    operations = {"GET": Operation("Look.", {})}
    anonymous = frozenset({"GET"})

    async def get(self, request: Request) -> Response:
        return Response({"meta": meta(request)})


class Fetched(Thing):
    """A file that takes its time; ``meanwhile`` is what happens until it is there."""

    meanwhile: Callable[[], None]
    path: Path

    async def get(self, _request: Request) -> Response:
        self.meanwhile()
        return Response(LocalFile(self.path, remove=True))


class Site:
    def __init__(self) -> None:
        self.logins, self.thing, self.file = logins(), Thing(), Fetched()
        api = Container({"thing": self.thing, "file": self.file, "info": Open()})
        self.app = Application(Container({"api": api}), self.logins, {"/api/other": THING})
        self.app.state = "serving"
        self.admin, self.stranger = Client(self.app, self.logins), Client(self.app)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("GET", "/api/%zz", {}, 400),
        ("PUT", THING, {"content_length": "x"}, 400),
        ("PUT", "/api/nothing", {"content_length": str(1 << 30)}, 413),
        ("PUT", "/api/nothing", {"expect": "a miracle"}, 417),
        ("GET", "/api/nothing", {}, 404),
        ("DELETE", THING, {}, 405),
        ("PUT", THING, {"user_agent": "Mozilla/5.0"}, 403),
        ("PUT", THING, {"content_type": "text/plain", "content_length": "5"}, 415),
        ("PUT", THING, {}, 200),
        ("GET", "/api/other", {}, 200),
    ],
)
def test_the_first_check_that_fails_answers(site: Site, method: str, path: str, fields: dict[str, str], status: int) -> None:
    assert site.admin.send(method, path, fields=fields).status == status
    assert site.thing.written == (status == 200 and method == "PUT")


def test_a_stranger_learns_nothing_of_what_is_there(site: Site) -> None:
    for path in (THING, "/api/nothing"):
        refused = site.stranger.send("GET", path)
        assert (refused.status, refused.error, "allow" in refused.headers) == (401, "Unauthenticated", False)
    assert site.stranger.send("GET", OPEN).status == 200


def test_a_path_that_is_no_path_is_told_to_nobody_but_as_such(site: Site) -> None:
    assert site.stranger.send("GET", "/api/%zz").error == "BadRequest"


def test_a_browser_writes_with_its_token(site: Site) -> None:
    assert site.admin.login is not None
    fields = {"user_agent": "Mozilla/5.0", "x_token": site.admin.login.token}
    assert site.admin.send("PUT", THING, fields=fields).status == 200
    assert site.admin.send("GET", THING, fields={"user_agent": "Mozilla/5.0"}).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_without_the_right_nothing_is_done(site: Site, method: str) -> None:
    site.thing.allowed = False
    assert site.admin.send(method, THING).error == "Unauthorized"
    assert site.thing.written == 0


def test_a_right_that_is_lost_before_the_body_arrives_counts_no_more(site: Site) -> None:
    def lose() -> None:
        site.thing.allowed = False

    assert site.admin.send("PUT", THING, b"{}", meanwhile=lose).status == 403
    assert site.thing.written == 0


def test_a_login_session_that_ends_before_the_body_arrives_counts_no_more(site: Site) -> None:
    answer = site.admin.send("PUT", THING, b"{}", meanwhile=lambda: site.logins.close_all("gone"))
    assert (answer.status, site.thing.written) == (401, 0)


@pytest.mark.parametrize("state", ["starting", "stopping", "awaiting its first settings"])
def test_until_it_serves_nothing_is_looked_at(site: Site, state: str) -> None:
    site.app.state = state
    refused = site.admin.send("GET", THING)
    assert (refused.status, refused.json["error"]["message"]) == (503, f"The server is {state}.")


def test_listeners_for_users_lead_to_what_is_theirs(site: Site) -> None:
    assert site.admin.send("GET", THING, for_users=True).status == 403
    assert site.admin.send("GET", "/", for_users=True).status == 403
    assert site.admin.send("GET", OPEN, for_users=True).status == 200


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (SemanticError([Problem("type", "No.")]), 400, "SemanticError"),
        (QueueTimeoutError(), 503, "ServiceUnavailable"),
        (OSError(errno.ENOSPC, "No space left on device"), 503, "ServiceUnavailable"),
        (TimeoutError(), 503, "ServiceUnavailable"),
    ],
)
def test_errors_of_lower_floors_are_answered_by_the_table(site: Site, error: Exception, status: int, kind: str) -> None:
    site.thing.fails = error
    refused = site.admin.send("GET", THING)
    assert (refused.status, refused.error) == (status, kind)


def test_a_fault_of_ours_shows_only_where_to_look(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.thing.fails = RuntimeError("the secret words")
    refused = site.admin.send("GET", THING)
    assert (refused.status, refused.error) == (500, "InternalError")
    assert refused.json["error"]["details"] == {"error_id": refused.headers["x-request-id"]}
    assert b"secret words" not in refused.body
    assert "secret words" in capsys.readouterr().out


def test_every_answer_says_what_is_allowed_and_how_long_the_login_lives(site: Site) -> None:
    answer = site.admin.send("GET", THING)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, PUT"
    assert answer.json["meta"]["remaining_seconds"] == 600
    assert "Max-Age=600" in answer.headers["set-cookie"]
    assert site.admin.send("OPTIONS", THING).json == {"meta": {**answer.json["meta"]}}


def test_answers_are_counted(site: Site) -> None:
    counted: list[Any] = []
    site.app.counted = lambda *answer: counted.append(answer)
    site.admin.send("GET", THING)
    site.admin.send("GET", "/api/nothing")
    assert counted == [("GET", 200), ("GET", 404)]


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_file_is_for_who_still_may_have_it_and_gone_in_any_case(site: Site, tmp_path: Path, *, is_lost: bool) -> None:
    def lose() -> None:
        site.file.allowed = not is_lost

    site.file.path, site.file.meanwhile = tmp_path / "file", lose
    site.file.path.write_bytes(b"content")
    answer = site.admin.send("GET", FILE)
    assert answer.status == (403 if is_lost else 200)
    assert (b"content" in answer.body) is not is_lost
    assert not site.file.path.exists()


def test_rights_are_those_of_the_account(site: Site) -> None:
    class Guarded(Resource):
        operations = {"GET": Operation("Look.", {})}
        privilege = "/special/thing"

        async def get(self, request: Request) -> Response:
            return Response({"meta": meta(request)})

    app = Application(Container({"api": Container({"thing": Guarded()})}), site.logins, {})
    app.state = "serving"
    nobody = Client(app, site.logins, Account("7", "7", Rights()))
    assert (nobody.send("GET", THING).status, Client(app, site.logins).send("GET", THING).status) == (403, 200)


class Slow(Resource):
    """A file that it takes its time to fetch; meanwhile the right to it goes."""

    operations = {"GET": Operation("A file.")}
    anonymous = frozenset({"GET"})

    def __init__(self, path: Path) -> None:
        self._path, self.held = path, True

    def may_read(self, _request: Request) -> bool:
        return self.held

    async def get(self, _request: Request) -> Response:
        self.held = False
        self._path.write_bytes(b"every secret")
        return Response(LocalFile(self._path, remove=True))


def test_a_file_that_was_fetched_for_somebody_without_the_right_by_now_is_not_sent(tmp_path: Path) -> None:
    app = Application(Container({"api": Container({"slow": Slow(tmp_path / "fetched")})}), logins(), {})
    app.state = "serving"
    assert Client(app).send("GET", "/api/slow").status == 403
    assert not (tmp_path / "fetched").exists()
