"""What is equal to every right needs every right: every such request, tried by accounts that lack no more than one object."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import Any

import pytest

from doorward.configuration.aaa.acls import OBJECTS
from tests.contract.test_cluster import ACCEPT, ASK, JOIN, NODES, PROMOTE
from tests.contract.wire import GROUPS, TRANSACTION, Reply, logged_in, make_user
from tests.support.server import QUICK, Server, running

ACLS = "/api/configuration/aaa/acls"
SECRET = "a long enough password"
EXPORTS, RESTORES, KEYS = "/api/backup/exports", "/api/backup/restores", "/api/backup/signing_keys"
PLAIN = "/api/backup/files/doorward-20261121T230002Z-46f97a58.config"
UPLOAD = {"source": {"selection": "upload", "value": "none"}}
SIGNER = "SHA256:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"
RESERVED: dict[str, tuple[str, str, Any]] = {
    "restore": ("POST", RESTORES, UPLOAD),
    "accept_signer": ("POST", RESTORES, {**UPLOAD, "dry_run": True, "accept_signer": SIGNER}),
    "take_over": ("POST", RESTORES, {**UPLOAD, "dry_run": True, "scope": "system", "take_over": True}),
    "signing key": ("POST", KEYS, {"public_key": base64.b64encode(os.urandom(32)).decode()}),
    "export": ("POST", EXPORTS, {"encryption": {"selection": "none"}}),
    "download": ("GET", "exports/none/download", None),
    "head of download": ("HEAD", "exports/none/download", None),
    "file": ("GET", f"{PLAIN}/download", None),
    "promote": ("POST", PROMOTE, {}),
    "join": ("POST", JOIN, ASK),
    "accept": ("POST", NODES, ACCEPT),
    "repair": ("POST", "/api/drift/repair", None),
}
OPEN: dict[str, tuple[str, str, Any]] = {
    "trial": ("POST", RESTORES, {**UPLOAD, "dry_run": True}),
    "export": ("POST", EXPORTS, {"encryption": {"selection": "password", "password": "twelve characters"}}),
    "download": ("GET", "exports/password/download", None),
    "file": ("GET", f"{PLAIN}.gpg/download", None),
    "run": ("POST", "/api/backup/runs", {}),
    "leave": ("DELETE", JOIN, None),
    "follow": ("PUT", JOIN, ASK),
    "distrust": ("DELETE", "own key", None),
}
"""What the rights to backups and to the cluster are enough for, as before."""
LACKING = {f"but-{name.rpartition('/')[2]}": [OBJECTS - {name}] for name in sorted(OBJECTS)}
HALF = sorted(OBJECTS)[: len(OBJECTS) // 2]
ACCOUNTS: dict[str, list[Any]] = {
    **LACKING,
    "split": [HALF, OBJECTS.difference(HALF)],
    "none": [],
    "full": [OBJECTS],
}
"""By name: the objects that each group of the account may write."""


class House:
    """A server, everybody's cookie, and an export in clear and one under a password."""

    def __init__(self, server: Server) -> None:
        self.caller = admin = logged_in(server)
        lines: list[dict[str, Any]] = admin.body(ACLS)
        for name, groups in ACCOUNTS.items():
            user = make_user(admin, name, SECRET)
            for number, objects in enumerate([*groups, ["/special/basic"]]):
                group = f"{name}-{number}"
                admin.post(GROUPS, {"members": [user], "name": group}).ok(201)
                permission = "read" if number == len(groups) else "write"
                lines.append({"group": group, "objects": sorted(objects), "permission": permission})
        admin.put(ACLS, lines).ok()
        admin.commit().ok()
        self.exports = {}
        for kind, order in (("none", RESERVED["export"]), ("password", OPEN["export"])):
            self.exports[f"exports/{kind}/download"] = admin.post(EXPORTS, order[2]).ok(201).header("Location") + "/download"
        [own] = admin.get(KEYS).ok().json["items"]
        self.exports["own key"] = own["meta"]["href"]
        self.cookies = {"admin": admin.cookie}

    def ask(self, name: str, verb: str, path: str, value: Any) -> Reply | int:
        """The answer; of one that is no JSON the status alone."""
        if name not in self.cookies:
            self.caller.cookie = ""
            self.caller.login(name, SECRET).ok()
            self.cookies[name] = self.caller.cookie
        self.caller.cookie = self.cookies[name]
        target = self.exports.get(path, path)
        body = {} if value is None else {"value": value}
        try:
            return self.caller.call(verb, target, **body)
        except AssertionError:  # the file itself is not of the shape of an answer
            self.caller.close()
            return 200


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("everything") / "state", launcher=QUICK) as server:
        made = House(server)
        yield made
        made.caller.close()


def status(reply: Reply | int) -> int:
    return reply if isinstance(reply, int) else reply.status


@pytest.mark.parametrize("what", RESERVED)
def test_who_lacks_one_object_is_refused(house: House, what: str) -> None:
    for name in [name for name in ACCOUNTS if name != "full"]:
        reply = house.ask(name, *RESERVED[what])
        assert status(reply) == 403, (what, name)
        assert isinstance(reply, Reply)
        if reply.method != "HEAD":
            assert reply.error["type"] == "Unauthorized"
            has_own = name not in {"none", "but-cluster" if RESERVED[what][1].startswith("/api/cluster") else "but-backup"}
            assert "write on every object" in reply.error["message"] or not has_own, (what, name)
    state = house.ask("but-report", "GET", TRANSACTION, None)
    assert isinstance(state, Reply)
    assert state.ok().json["body"]["status"] == "closed"


@pytest.mark.parametrize("what", RESERVED)
@pytest.mark.parametrize("name", ["admin", "full"])
def test_who_has_everything_is_let_through(house: House, what: str, name: str) -> None:
    assert status(house.ask(name, *RESERVED[what])) not in {401, 403}


@pytest.mark.parametrize("what", OPEN)
def test_the_other_rights_stay(house: House, what: str) -> None:
    own = "cluster" if OPEN[what][1] == JOIN else "backup"
    for name in ("but-report", "split", "full"):
        assert status(house.ask(name, *OPEN[what])) not in {401, 403}, (what, name)
    for name in (f"but-{own}", "none"):
        assert status(house.ask(name, *OPEN[what])) == 403, (what, name)


def test_nothing_else_needs_everything(house: House) -> None:
    """Every operation of the API, by somebody who may do everything but look at reports."""
    document = house.ask("admin", "GET", "/api/openapi.json", None)
    assert isinstance(document, Reply)
    reserved = {(verb, path) for verb, path, _ in RESERVED.values()} | {("POST", "/api/revisions/{number}/restore")}
    # The answer of /api/live never ends; who gets it is tested beside it.
    left_out = {("DELETE", "/api/authentication"), ("POST", "/api/time_status/sync"), ("GET", "/api/live")}
    tried = 0
    for path, operations in document.json["paths"].items():
        for method in operations:
            verb = method.upper()
            plain = (verb, path) not in reserved | left_out and not path.startswith("/api/configuration/reporting")
            if verb in {"GET", "POST", "PUT", "DELETE"} and plain:
                target = path.replace("{number}", "1")
                reply = house.ask("but-report", verb, target, [] if verb in {"POST", "PUT"} else None)
                assert status(reply) not in {401, 403}, (verb, path)
                tried += 1
    assert tried > 300
    house.ask("but-report", "DELETE", TRANSACTION, None)


def test_a_full_group_may_go_back_to_a_revision(house: House) -> None:
    for name in ("but-auth", "split"):
        assert status(house.ask(name, "POST", "/api/revisions/1/restore", {})) == 403
    assert status(house.ask("full", "POST", "/api/revisions/1/restore", {})) == 200
    house.ask("full", "DELETE", TRANSACTION, None)
