"""Who may do what: every node, every method, and for each node every way of being granted it or not (protocol, section 9.3)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from doorward.tree.nodes import Branch, Collection, ListSingleton, Singleton, WriteOnce
from doorward.tree.registry import Endpoint
from tests.contract.walk import tree
from tests.contract.wire import GROUPS, PASSWORDS, TRANSACTION, USERS, Reply, logged_in
from tests.support.server import QUICK, Server, running
from tests.unit.configuration.ssh.checks import connection

ROOT = "/api/configuration"
ACLS = f"{ROOT}/aaa/acls"
SECRET = "a long enough password"
VERBS = ("GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE")
"""DELETE last: what it removes is wanted by the others."""

PROTOCOLS = ("http", "ica", "mssql", "rdp", "ssh", "telnet", "vnc")
GUARDS = {"aaa": "auth", "policies": "pol", "plugins": "pol", "reporting": "report"} | {name: name for name in PROTOCOLS}
"""The object of each branch of the tree that is not ``basic`` (configuration contract, section 2)."""
OBJECTS = ["auth", "backup", "basic", "changelog", "cluster", *PROTOCOLS, "pol", "report", "searchmenu"]

METHODS: dict[type, set[str]] = {Branch: set(), Collection: {"POST"}, ListSingleton: {"POST", "PUT"}}
POLICIES = f"{ROOT}/policies"
SERVER = {"selection": "ip", "value": "192.0.2.5"}
NFS = {"path": "/data", "server": SERVER, "type": "nfs"}
MADE: dict[str, Any] = {
    f"{POLICIES}/archive_cleanup_policies": {"name": "x", "retention_days": 9, "start_times": ["10:10"], "target": NFS},
    f"{POLICIES}/backup_policies": {"name": "x", "target": NFS},
    f"{POLICIES}/credentialstores": {"name": "x"},
    f"{POLICIES}/indexing": {"name": "x"},
    f"{POLICIES}/ldap_servers": {
        "encryption": {"selection": "disabled"},
        "group_base_dn": "ou=groups,dc=example,dc=com",
        "name": "x",
        "schema": {
            "memberof_check": {"enabled": False},
            "membership_check": {"enabled": True, "member_uid_attribute": "memberUid"},
            "selection": "posix",
            "username_attribute": "uid",
        },
        "servers": [{"host": SERVER, "port": 389}],
        "user_base_dn": "ou=people,dc=example,dc=com",
    },
    f"{POLICIES}/user_databases": {"name": "x"},
    f"{POLICIES}/usermapping_policies": {"name": "x"},
    f"{ROOT}/ssh/connections": connection(),
}
"""Bodies of objects that a fresh appliance lacks."""


class Grant(NamedTuple):
    """A line of ``aaa/acls`` that one account has."""

    object: str
    permission: str

    def covers(self, path: str) -> bool:
        """Whether it is for the resource, by what the contract says of it."""
        branch = path.removeprefix(f"{ROOT}/").partition("/")[0]
        by_path = path == self.object or path.startswith(f"{self.object}/")
        return by_path or self.object == f"/special/{GUARDS.get(branch, 'basic')}"

    def reads(self, path: str) -> bool:
        return self.covers(path)

    def writes(self, path: str) -> bool:
        return self.permission == "write" and self.covers(path)


NOBODY, ADMIN = Grant("nothing", "none"), Grant(ROOT, "write")
"""An account without rights, and the one that has them all."""
ENDPOINTS = list(tree())
PATHS = [endpoint.path for endpoint in ENDPOINTS if endpoint.path != ROOT]
GRANTS = [Grant(o, p) for o in [f"/special/{name}" for name in OBJECTS] + PATHS for p in ("read", "write")]
NEIGHBOUR = dict(pairwise([*PATHS, PATHS[0]]))


def grants_for(path: str) -> list[Grant]:
    """The accounts that try a node: by its object and another one, by the paths down to it and another one, none, all."""
    own = GUARDS.get(path.removeprefix(f"{ROOT}/").partition("/")[0], "basic")
    other = OBJECTS[(OBJECTS.index(own) + 1) % len(OBJECTS)]
    parts = path.removeprefix(f"{ROOT}").split("/")[1:]
    above = [f"{ROOT}/{'/'.join(parts[:depth])}" for depth in range(1, len(parts) + 1)]
    paths = [*above, NEIGHBOUR.get(path, PATHS[0])]
    found = [Grant(o, p) for o in (f"/special/{own}", f"/special/{other}", *paths) for p in ("read", "write")]
    return [NOBODY, *(grant for grant in found if grant in ACCOUNTS), ADMIN]


ACCOUNTS = {NOBODY: "nobody", ADMIN: "admin"} | {grant: f"u{number}" for number, grant in enumerate(GRANTS)}


class Matrix:
    """An account for each grant, all over one connection."""

    def __init__(self, server: Server) -> None:
        self.caller = logged_in(server)
        self.cookies = {ADMIN: self.caller.cookie}
        self.passwords: dict[Grant, str] = {}
        """The key of the password of each account."""
        lines = []
        for grant, name in ACCOUNTS.items():
            if name == "admin":
                continue
            self.passwords[grant] = str(self.ask(ADMIN, "POST", PASSWORDS, {"plain": SECRET}).ok(201).json["key"])
            user = self.ask(ADMIN, "POST", USERS, {"name": name, "password": self.passwords[grant]}).ok(201).json["key"]
            self.ask(ADMIN, "POST", GROUPS, {"members": [user], "name": name}).ok(201)
            if grant != NOBODY:
                lines.append({"group": name, "objects": [grant.object], "permission": grant.permission})
        self.ask(ADMIN, "PUT", ACLS, lines).ok()
        for path, body in MADE.items():
            self.ask(ADMIN, "POST", path, body).ok(201)
        self.ask(ADMIN, "PUT", TRANSACTION, {"status": "commit"}).ok()

    def ask(self, grant: Grant, verb: str, path: str, *value: Any) -> Reply:
        """Ask as the account that has a grant; it logs in when it is first needed."""
        if grant not in self.cookies:
            self.caller.cookie = ""
            self.caller.login(ACCOUNTS[grant], SECRET).ok()
            self.cookies[grant] = self.caller.cookie
        self.caller.cookie = self.cookies[grant]
        return self.caller.call(verb, path, *value)

    def try_all(self, path: str, grant: Grant, allowed: set[str], body: Any = None) -> None:
        """Try every method; those in ``allowed`` exist. Afterwards nothing is changed, and no transaction is open."""
        wrote = False
        for verb in VERBS:
            right = grant.writes(path) if verb in {"PUT", "POST", "DELETE"} else grant.reads(path)
            wrote |= self.check(path, grant, verb, body, exists=verb in allowed, right=right)
        state = self.ask(grant, "GET", TRANSACTION).ok().json["body"]["status"]
        assert wrote or state == "closed", "a refused write opened a transaction"
        if state == "open":
            self.ask(grant, "DELETE", TRANSACTION).ok()

    def check(self, path: str, grant: Grant, verb: str, body: Any, *, exists: bool, right: bool) -> bool:
        """Ask once and look at the answer. Returns whether it may have opened a transaction."""
        value = {"PUT": [body], "POST": [[]]}.get(verb, [])  # an empty list: appends nothing, and is no object
        reply = self.ask(grant, verb, path, *value)
        what = (verb, path, grant, reply.status, reply.body)
        if verb == "OPTIONS":
            assert reply.status == 200, what
        elif not exists:
            assert reply.status == 405, what
        elif not right:
            assert reply.status == 403, what
            if verb != "HEAD":
                refused(reply, path, change=verb != "GET")
        else:
            assert reply.status in {"POST": {201, 400}, "DELETE": {200, 400}}.get(verb, {200}), what
        return right and exists and verb in {"PUT", "POST", "DELETE"}


def refused(reply: Reply, path: str, *, change: bool) -> None:
    """Assert the 403 of the contract, member for member."""
    assert reply.error == {
        "details": {"resource": path},
        "message": f"This account may not {'change' if change else 'read'} the resource.",
        "type": "Unauthorized",
    }
    assert reply.meta.keys() == {"href", "parent", "remaining_seconds"}
    assert (reply.meta["href"], reply.meta["parent"]) == (path, path.rpartition("/")[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("privileges") / "state", launcher=QUICK) as server:
        yield server


@pytest.fixture(scope="module")
def matrix(server: Server) -> Iterator[Matrix]:
    made = Matrix(server)
    yield made
    made.caller.close()


def methods(endpoint: Endpoint) -> set[str]:
    """The methods of a node itself, by its kind (protocol, section 9.2)."""
    if isinstance(endpoint.node, WriteOnce):
        return {"POST"}
    writing = METHODS.get(type(endpoint.node), {"PUT"})
    if isinstance(endpoint.node, Collection) and endpoint.node.ordered:
        writing = {"POST", "PUT"}
    return {"GET", "HEAD"} | (set() if isinstance(endpoint.node, Singleton) and endpoint.node.read_only else writing)


def ids(endpoint: Endpoint) -> str:
    return endpoint.path


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if not isinstance(e.node, (Branch, WriteOnce))], ids=ids)
def test_a_node_is_for_those_who_have_the_right(matrix: Matrix, endpoint: Endpoint) -> None:
    seen = matrix.ask(ADMIN, "GET", endpoint.path).ok().json
    for grant in grants_for(endpoint.path):
        order = {"@order": [item["key"] for item in seen.get("items", [])]}
        matrix.try_all(endpoint.path, grant, methods(endpoint), seen.get("body", order))


@pytest.mark.parametrize(
    "endpoint", [e for e in ENDPOINTS if isinstance(e.node, Collection) and (e.node.supported or e.node.default)], ids=ids
)
def test_an_object_is_for_those_who_have_the_right(matrix: Matrix, endpoint: Endpoint) -> None:
    item = matrix.ask(ADMIN, "GET", endpoint.path).ok().json["items"][-1]
    for grant in grants_for(endpoint.path):
        matrix.try_all(item["meta"]["href"], grant, {"GET", "HEAD", "PUT", "DELETE"}, item["body"])


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if isinstance(e.node, Branch)], ids=ids)
def test_a_branch_is_open_to_every_login(matrix: Matrix, endpoint: Endpoint) -> None:
    shown = matrix.ask(ADMIN, "GET", endpoint.path).ok().json["items"]
    for grant in grants_for(endpoint.path):
        reply = matrix.ask(grant, "GET", endpoint.path).ok()
        assert reply.json["items"] == shown
        for verb in VERBS[1:]:
            matrix.check(endpoint.path, grant, verb, {}, exists=verb == "HEAD", right=True)


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("permission", ["read", "write"])
def test_an_object_opens_its_branches_and_nothing_else(matrix: Matrix, name: str, permission: str) -> None:
    grant = Grant(f"/special/{name}", permission)
    opened = set()
    for endpoint in ENDPOINTS:
        if isinstance(endpoint.node, (Branch, WriteOnce)):
            continue
        reply = matrix.ask(grant, "GET", endpoint.path)
        assert reply.status == (200 if grant.reads(endpoint.path) else 403), (endpoint.path, reply.body)
        if reply.status == 200:
            opened.add(endpoint.path.split("/")[3])
    assert bool(opened) == (name not in {"backup", "changelog", "cluster", "searchmenu"})


# Write-once stores


@pytest.mark.parametrize("store", ["passwords", "private_keys", "x509"])
@pytest.mark.parametrize("grant", [NOBODY, *GRANTS[: 2 * len(OBJECTS)], Grant(f"{ROOT}/datetime", "write"), ADMIN], ids=str)
def test_secrets_are_made_by_whoever_may_write_anything(matrix: Matrix, store: str, grant: Grant) -> None:
    path = f"{ROOT}/{store}"
    for verb in VERBS:
        matrix.check(path, grant, verb, {}, exists=verb == "POST", right=grant.permission == "write")


@pytest.mark.parametrize("grant", grants_for(USERS), ids=str)
def test_a_secret_is_read_by_who_may_read_its_owner(matrix: Matrix, grant: Grant) -> None:
    path = f"{PASSWORDS}/{matrix.passwords[NOBODY]}"
    for verb in VERBS:
        matrix.check(path, grant, verb, {}, exists=verb in {"GET", "HEAD"}, right=grant.reads(f"{USERS}/x"))


@pytest.mark.parametrize("permission", ["read", "write"])
def test_a_right_on_the_store_opens_no_secret_in_it(matrix: Matrix, permission: str) -> None:
    path = f"{PASSWORDS}/{matrix.passwords[NOBODY]}"
    refused(matrix.ask(Grant(PASSWORDS, permission), "GET", path), path, change=False)


def test_who_made_a_secret_sees_it_until_it_has_an_owner(matrix: Matrix) -> None:
    writer, reader = Grant(f"{ROOT}/datetime", "write"), Grant("/special/auth", "read")
    reply = matrix.ask(writer, "POST", PASSWORDS, {"plain": SECRET}).ok(201)
    path = reply.header("Location")
    matrix.ask(writer, "GET", path).ok()
    matrix.ask(writer, "PUT", TRANSACTION, {"status": "commit"}).ok()
    matrix.ask(writer, "GET", path).ok()
    refused(matrix.ask(reader, "GET", path), path, change=False)
    matrix.ask(ADMIN, "POST", USERS, {"name": "late", "password": reply.json["key"]}).ok(201)
    matrix.ask(ADMIN, "PUT", TRANSACTION, {"status": "commit"}).ok()
    refused(matrix.ask(writer, "GET", path), path, change=False)
    matrix.ask(reader, "GET", path).ok()


# Around the configuration


@pytest.mark.parametrize("grant", [NOBODY, *GRANTS[: 2 * len(OBJECTS)], Grant(f"{ROOT}/datetime", "write"), ADMIN], ids=str)
def test_a_transaction_is_for_who_may_write_anything(matrix: Matrix, grant: Grant) -> None:
    matrix.ask(grant, "GET", TRANSACTION).ok()
    reply = matrix.ask(grant, "POST", TRANSACTION)
    if grant.permission == "write":
        reply.ok()
        matrix.ask(grant, "DELETE", TRANSACTION).ok()
        return
    for verb, value in (("POST", []), ("PUT", [{"status": "commit"}]), ("DELETE", [])):
        refused(matrix.ask(grant, verb, TRANSACTION, *value), TRANSACTION, change=True)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/health_status", "basic"),
        ("/api/revisions", "changelog"),
        ("/api/revisions/1", "changelog"),
        ("/api/revisions/1/changes", "changelog"),
        ("/api/time_status", "basic"),
    ],
)
def test_status_and_history_are_for_those_who_have_the_right(matrix: Matrix, path: str, name: str) -> None:
    for grant in [NOBODY, ADMIN, *(Grant(f"/special/{other}", "read") for other in OBJECTS), *grants_for(f"{ROOT}/datetime")]:
        reply = matrix.ask(grant, "GET", path)
        if grant == ADMIN or grant.object == f"/special/{name}":
            reply.ok()
        else:
            refused(reply, path, change=False)


@pytest.mark.parametrize(
    "path",
    [
        "/api/audit", "/api/audit/sessions", "/api/audit/sessions/_count", "/api/audit/sessions/_snapshot",
        "/api/audit/sessions/stats?field=verdict", "/api/audit/sessions/histogram?field=start_time", "/api/sessions/live",
    ],
)  # fmt: skip
def test_sessions_are_for_those_who_may_search(matrix: Matrix, path: str) -> None:
    for grant in [NOBODY, ADMIN, *(Grant(f"/special/{other}", "read") for other in OBJECTS), *grants_for(f"{ROOT}/ssh/options")]:
        reply = matrix.ask(grant, "GET", path)
        if grant == ADMIN or grant.object == "/special/searchmenu":
            assert reply.status in {200, 429}, reply.body
        else:
            refused(reply, path.partition("?")[0], change=False)


@pytest.mark.parametrize("path", ["/api/time_status/sync", "/api/tools/hosts-by-name", "/api/tools/mailtest"])
def test_actions_are_for_those_who_may_write_the_basics(matrix: Matrix, path: str) -> None:
    for grant in [NOBODY, ADMIN, *GRANTS[: 2 * len(OBJECTS)]]:
        reply = matrix.ask(grant, "POST", path, [])
        if grant in {ADMIN, Grant("/special/basic", "write")}:
            assert reply.status in {200, 400}, reply.body
        else:
            refused(reply, path, change=True)


@pytest.mark.parametrize(
    "path", ["/api", "/api/commits", "/api/info", "/api/metrics", "/api/transaction/changes", "/api/user/info"]
)
def test_what_every_login_may_see(matrix: Matrix, path: str) -> None:
    for grant in [NOBODY, ADMIN, *GRANTS[: 2 * len(OBJECTS)]]:
        matrix.ask(grant, "GET", path).ok()


def test_only_admin_may_go_back(matrix: Matrix) -> None:
    path = "/api/revisions/1/restore"
    for grant in [NOBODY, *GRANTS[: 2 * len(OBJECTS)]]:
        refused(matrix.ask(grant, "POST", path), path, change=True)
    matrix.ask(ADMIN, "POST", path).ok()
    matrix.ask(ADMIN, "DELETE", TRANSACTION).ok()


@pytest.mark.parametrize(
    "spelt",
    ["/api/configuration/datetime/timezon%65", "/api/configuration/%64atetime/timezone", "/api/configuration/datetime/timezone?"],
)
def test_another_spelling_of_a_path_is_no_way_around(matrix: Matrix, spelt: str) -> None:
    path = f"{ROOT}/datetime/timezone"
    refused(matrix.ask(Grant("/special/auth", "write"), "GET", spelt), path, change=False)
    refused(matrix.ask(Grant("/special/auth", "write"), "PUT", spelt, "Etc/UTC"), path, change=True)


def test_the_second_spelling_of_an_endpoint_needs_the_same_right(matrix: Matrix) -> None:
    path, second = f"{ROOT}/management/exported_configuration_encryption", "/api/management/exported_configuration_encryption"
    for grant in grants_for(path):
        assert matrix.ask(grant, "GET", second).status == (200 if grant.reads(path) else 403)


def test_every_collection_in_force_has_an_object_that_is_tried(matrix: Matrix) -> None:
    for endpoint in ENDPOINTS:
        if isinstance(endpoint.node, Collection) and endpoint.node.supported:
            assert matrix.ask(ADMIN, "GET", endpoint.path).ok().json["items"], endpoint.path


def test_the_accounts_are_those_that_they_seem_to_be(matrix: Matrix) -> None:
    assert matrix.ask(ADMIN, "GET", "/api/user/info").ok().json["body"]["groups"] == []
    for grant in (NOBODY, *GRANTS[:2]):
        info = matrix.ask(grant, "GET", "/api/user/info").ok().json["body"]
        lines = [{"group": ACCOUNTS[grant], "objects": [grant.object], "permission": grant.permission}]
        assert info["acls"] == ([] if grant == NOBODY else lines)


# By tokens


LIMIT = f"{ROOT}/datetime"
TOKENS: dict[str, dict[str, Any]] = {"own": {}, "reading": {"rights": "read"}, "limited": {"paths": [LIMIT]}}
OWNERS = [NOBODY, *GRANTS[: 2 * len(OBJECTS)], Grant(LIMIT, "write"), ADMIN]
NODES = [endpoint for endpoint in ENDPOINTS if not isinstance(endpoint.node, (Branch, WriteOnce))]


def reaches(kind: str, verb: str, path: str) -> bool:
    """Whether a token is for a request, whoever has it."""
    return {"own": True, "reading": verb in {"GET", "HEAD"}, "limited": path == LIMIT or path.startswith(f"{LIMIT}/")}[kind]


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_opens_what_it_is_for_and_its_owner_may(matrix: Matrix, kind: str) -> None:
    """Each node by each sort of token, of owners that come in turn; of both the narrower one counts."""
    order = {"name": kind, "expires_days": 1, "rights": "own", **TOKENS[kind]}
    tokens = {owner: matrix.ask(owner, "POST", "/api/user/tokens", order).ok(201).json["body"]["token"] for owner in OWNERS}
    matrix.caller.cookie = ""
    for number, endpoint in enumerate(NODES, list(TOKENS).index(kind)):
        path, guard = endpoint.path, f"/special/{GUARDS.get(endpoint.path.removeprefix(f'{ROOT}/').partition('/')[0], 'basic')}"
        for owner in (OWNERS[number % len(OWNERS)], Grant(guard, "read"), Grant(guard, "write")):
            for verb in ("GET", "HEAD", "PUT", "POST", "DELETE"):
                value = ["no such value"] if verb in {"PUT", "POST"} else []
                reply = matrix.caller.call(verb, path, *value, headers={"Authorization": f"Bearer {tokens[owner]}"})
                what = (kind, verb, path, owner, reply.status, reply.body)
                right = owner.reads(path) if verb in {"GET", "HEAD"} else owner.writes(path)
                if verb not in methods(endpoint):
                    assert reply.status in ({405} if reaches(kind, verb, path) else {403, 405}), what
                elif not reaches(kind, verb, path) or not right:
                    assert reply.status == 403, what
                elif verb in {"GET", "HEAD"}:
                    assert reply.status == 200, what
                else:
                    assert reply.status in {400, 404}, what
