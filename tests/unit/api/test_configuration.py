"""``/api/configuration``: what is written lands in the candidate of the login session, or leaves no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.access.accounts import Account
from doorward.access.rights import Rights
from doorward.api.app import Application
from doorward.api.configuration import Configuration
from doorward.api.resources import Container
from tests.support.accounts import logins
from tests.unit.api.asgi import Answer, Client
from tests.unit.transaction.rig import SERVERS, USERS, ZONE, Rig, ip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = "/api/configuration"


class Site:
    """A configuration behind an application. ``away``: since when Central Management has not answered."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.away, self.logins = rig, None, logins()
        shared = Configuration(rig.pipeline, self.logins, rig.prober, lambda: self.away)
        self.app = Application(Container({"api": Container({"configuration": shared.resource()})}), self.logins, {})
        self.app.state = "serving"
        self.admin = Client(self.app, self.logins)

    away: str | None

    def get(self, path: str, **fields: str) -> Answer:
        return self.admin.send("GET", f"{ROOT}/{path}", fields=fields)

    def put(self, path: str, body: Any, **fields: str) -> Answer:
        return self.admin.send("PUT", f"{ROOT}/{path}", body, fields)

    @property
    def candidate(self) -> Any:
        assert self.admin.login is not None
        return self.admin.login.candidate


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A node whose running configuration no test changes: all of them write into candidates."""
    directory: Path = tmp_path_factory.mktemp("rig")
    made = Rig(directory).started()
    yield made
    made.close()


@pytest.fixture
def site(running: Rig) -> Site:
    return Site(running)


def test_a_write_opens_a_candidate_that_nobody_else_sees(site: Site) -> None:
    before = site.get(ZONE).json["body"]
    written = site.put(ZONE, "Asia/Tokyo")
    assert (written.status, written.json["body"]) == (200, "Asia/Tokyo")
    assert site.get(ZONE).json["body"] == "Asia/Tokyo"
    assert Client(site.app, site.logins).send("GET", f"{ROOT}/{ZONE}").json["body"] == before
    assert site.rig.value(ZONE) == before


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        (ZONE, b"{", "InvalidRequestBody"),
        (ZONE, 7, "InvalidRequestBody"),
        (SERVERS, [{"selection": "ip", "value": "no address"}], "InvalidRequestBody"),
        (f"{USERS}/-1", {"name": "admin", "password": "00000000-0000-4000-8000-000000000000"}, "SemanticError"),
    ],
)
def test_a_refused_write_leaves_no_trace(site: Site, path: str, body: Any, kind: str) -> None:
    assert site.put(path, body).error == kind
    assert site.candidate is None


def test_a_right_that_is_lost_while_the_body_is_on_its_way_leaves_no_trace(site: Site) -> None:
    answer = site.admin.send("PUT", f"{ROOT}/{ZONE}", "Asia/Tokyo", meanwhile=lambda: site.logins.close_all("gone"))
    assert (answer.status, site.candidate) == (401, None)


def test_an_appended_element_keeps_those_before_it(site: Site) -> None:
    assert site.put(SERVERS, [ip("192.0.2.1")]).status == 200
    made = site.admin.send("POST", f"{ROOT}/{SERVERS}", [ip("192.0.2.2")])
    assert made.status == 201
    assert site.get(SERVERS).json["body"] == [ip("192.0.2.1"), ip("192.0.2.2")]


def test_a_large_body_is_written_into_a_copy(site: Site) -> None:
    site.put(ZONE, "Asia/Tokyo")
    before = site.candidate
    spaces = b" " * (1 << 16)
    assert site.put(ZONE, b'"Europe/Paris"' + spaces).json["body"] == "Europe/Paris"
    assert site.candidate is not before
    assert site.put(ZONE, b"7" + spaces).error == "InvalidRequestBody"
    assert site.get(ZONE).json["body"] == "Europe/Paris"


def test_a_state_that_was_read_is_written_only_while_it_stands(site: Site) -> None:
    etag = site.get(ZONE).headers["etag"]
    assert site.get(ZONE, if_none_match=etag).status == 304
    assert site.put(ZONE, "Asia/Tokyo", if_match=etag).status == 200
    refused = site.put(ZONE, "Europe/Paris", if_match=etag)
    assert (refused.status, refused.json["error"]["details"]["etag"]) == (412, site.get(ZONE).headers["etag"])
    assert site.put(ZONE, "Europe/Paris", if_match="*").status == 200


def test_an_object_is_made_found_and_removed(site: Site) -> None:
    made = site.admin.send("POST", f"{ROOT}/passwords", {"plain": "correct horse battery"})
    key = made.json["key"]
    assert (made.status, made.headers["location"]) == (201, f"{ROOT}/passwords/{key}")
    user = site.admin.send("POST", f"{ROOT}/{USERS}", {"name": "jane", "password": key})
    path = user.headers["location"]
    assert site.admin.send("GET", path).json["body"]["name"] == "jane"
    assert site.admin.send("DELETE", path).json["meta"]["transaction"] is not None
    assert site.admin.send("GET", path).status == 404
    assert site.admin.send("DELETE", path).status == 404


def test_built_in_objects_stay(site: Site) -> None:
    assert site.admin.send("DELETE", f"{ROOT}/{USERS}/-1").error == "SemanticError"
    assert site.candidate is None


def test_parameters_that_nobody_knows_are_refused(site: Site) -> None:
    refused = site.put(f"{ZONE}?dry", "Asia/Tokyo")
    assert (refused.status, refused.error) == (400, "InvalidQuery")
    assert site.candidate is None


def test_unknown_members_are_warnings_unless_asked_to_be_strict(site: Site) -> None:
    lenient = site.put(SERVERS, [{**ip("192.0.2.1"), "colour": "red"}])
    assert [warning["code"] for warning in lenient.json["meta"]["warnings"]] == ["unknown_member"]
    strict = site.put(SERVERS, [{**ip("192.0.2.1"), "colour": "red"}], prefer="handling=strict")
    assert (strict.error, strict.headers["preference-applied"]) == ("InvalidRequestBody", "handling=strict")


def test_a_write_says_that_central_management_is_away(site: Site) -> None:
    site.away = "2026-11-21T10:00:00Z"
    [warning] = site.put(ZONE, "Asia/Tokyo").json["meta"]["warnings"]
    assert (warning["code"], warning["path"]) == ("central_unreachable", f"{ROOT}/{ZONE}")


def test_branches_are_open_and_leaves_are_guarded(site: Site) -> None:
    nobody = Client(site.app, site.logins, Account("7", "7", Rights()))
    assert nobody.send("GET", f"{ROOT}/datetime").status == 200
    assert nobody.send("GET", f"{ROOT}/{ZONE}").status == 403
    assert nobody.send("PUT", f"{ROOT}/{ZONE}", "Asia/Tokyo").status == 403
    assert nobody.send("POST", f"{ROOT}/passwords", {"plain": "correct horse battery"}).status == 403
