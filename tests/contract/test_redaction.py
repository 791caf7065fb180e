"""A secret in every field that takes one, and then a look at everything that ever leaves the server: it is nowhere."""

from __future__ import annotations

import gzip
import json
import secrets
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from doorward.tree.models import Body
from doorward.tree.nodes import Collection
from tests.contract.planting import STORES, Planter, declared, samples
from tests.contract.test_cluster import ACCEPT, ASK, JOIN, NODES, OTHER, PROMOTE, enable
from tests.contract.walk import everything
from tests.contract.wire import PASSWORDS, TRANSACTION, USERS, Caller, logged_in
from tests.support.server import PASSWORD, Server, running, until
from tests.system.command_line import CommandLine
from tests.unit.configuration.test_models import bodies

BUNDLES = "/api/troubleshooting/support-bundle"
EXPORTS = "/api/backup/exports"
OPTIONS = "/api/configuration/ssh/options"
OTHER_USER: dict[str, Any] = {"name": "another", "password": "to be made"}


class Audit(NamedTuple):
    """A server that is full of secrets, and everything that it said meanwhile: (what, content)."""

    server: Server
    planter: Planter
    said: list[tuple[str, bytes]]
    committed: int


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    """Every sample is written with secrets and looked at, then committed if it may be; some of what is sent is refused."""
    state = tmp_path_factory.mktemp("redaction") / "state"
    options = {"environment": {"DOORWARD_LOG_LEVEL": "debug"}, "options": ("--cluster-port", "7446")}
    with running(state, plain=True, **options) as server:
        admin = logged_in(server)
        planter = Planter(admin)
        said: list[tuple[str, bytes]] = []
        make_host_keys(admin, planter)
        committed = sum(written(admin, planter, endpoint, body, said) for endpoint, body in with_secrets())
        refused(admin, planter, said)
        in_the_cluster(admin, planter, said)
        admin.post("/api/revisions/1/restore").ok()
        said += [(path, admin.get(path).body) for path in ("/api/transaction/changes", "/api/transaction/plan")]
        admin.delete(TRANSACTION).ok()
        yield Audit(server, planter, said, committed)
        admin.close()


def make_host_keys(admin: Caller, planter: Planter) -> None:
    """Have the node make the host keys of SSH, in a body that nobody writes."""
    for is_on in (True, False):
        admin.put(OPTIONS, {"service": {"enabled": is_on}}).ok()
        admin.commit().ok()
    planter.sites |= {site for site in declared() if site[0].startswith("doorward.configuration.ssh.host_keys.")}


def with_secrets() -> Iterator[tuple[Any, Any]]:
    """The samples, and an account with a password, which the sample of an account has not."""
    for endpoint, body in samples():
        yield endpoint, {**OTHER_USER, "password": "x"} if endpoint.path == USERS else body


def written(admin: Caller, planter: Planter, endpoint: Any, body: Any, said: list[tuple[str, bytes]]) -> bool:
    """Write one sample if it has secrets; whether it was committed."""
    sites = len(planter.sites)
    planted = planter.plant(endpoint, body)
    if len(planter.sites) == sites:
        admin.delete(TRANSACTION)
        return False
    verb = "POST" if isinstance(endpoint.node, Collection) else "PUT"
    answer = admin.call(verb, endpoint.path, planted).ok(201 if verb == "POST" else 200)
    looked = [answer.meta["href"], endpoint.path, "/api/transaction/changes", "/api/transaction/plan"]
    said += [(verb, answer.body), *((path, admin.get(path).body) for path in looked)]
    commit = admin.commit("Planted.")
    said.append(("commit", commit.body))
    if commit.status != 200:
        commit.is_error(400, "SemanticError")
        admin.delete(TRANSACTION).ok()
    return commit.status == 200


def in_the_cluster(admin: Caller, planter: Planter, said: list[tuple[str, bytes]]) -> None:
    """Ask to join, withdraw, promote, accept a node: the secrets to pair with are shown once, by the answer that makes them."""
    enable(admin)
    planter.planted.append(admin.post(JOIN, ASK).ok(201).json["body"]["psk"])
    said.append(("join", look(admin, JOIN)))
    admin.commit().ok()
    said.append(("join", look(admin, JOIN)))
    admin.delete(JOIN).ok()
    admin.post(PROMOTE).ok(201)
    admin.commit().ok()
    psk = secrets.token_hex(32)
    planter.planted.append(psk)
    said += [("node", admin.post(NODES, {**ACCEPT, "psk": psk}).ok(201).body), ("node", look(admin, f"{NODES}/{OTHER}"))]
    said.append(("node", admin.commit().ok().body))
    planter.sites |= {site for site in declared() if site[0].startswith("doorward.membership.")}


def look(admin: Caller, path: str) -> bytes:
    """What shows an open transaction."""
    return b"".join(admin.get(one).body for one in (path, "/api/transaction/changes", "/api/transaction/plan"))


def refused(admin: Caller, planter: Planter, said: list[tuple[str, bytes]]) -> None:
    """Secrets in bodies that are wrong, in every way that could quote them."""
    text = "planted-and-refused"
    planter.planted.append(text)
    pem = f"-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"
    bad: list[Any] = [{"plain": text + "\n"}, {"plain": [text]}, {"plain": {text: text}}, {"plain": text * 99}, {"hash": text}]
    bad += [text, [text], {"certificate": pem, "private_key": pem}, {"certificate": text, "private_key": [pem]}]
    for body in bad:
        said += [(store, admin.post(store, body).ok(400).body) for store in sorted(STORES)]
    said.append(("not JSON", admin.post(PASSWORDS, content=f'{{"plain":"{text}"'.encode()).body))
    taken = planter.make(PASSWORDS)
    for name in ("first", "second"):
        admin.post(USERS, {"name": name, "password": taken}).ok(201)
    said.append(("commit", admin.commit().is_error(400, "SemanticError").body))
    admin.delete(TRANSACTION).ok()
    weak = admin.post(PASSWORDS, {"plain": text[:11]}).ok(201).json["key"]
    planter.planted.append(text[:11])
    admin.post(USERS, {"name": "weak", "password": weak}).ok(201)
    said.append(("commit", admin.commit().is_error(400, "SemanticError").body))
    admin.delete(TRANSACTION).ok()


def check(audit: Audit, said: list[tuple[str, bytes]]) -> None:
    assert said
    assert [(what, texts) for what, content in said if (texts := audit.planter.seen_in(content))] == []


def test_every_field_that_takes_a_secret_got_one(audit: Audit) -> None:
    """Add a body to VARIANTS where a new field is in no sample."""
    wanted = {site for site, stores in declared().items() if stores & STORES}
    assert len(wanted) >= 8
    assert wanted - audit.planter.sites == set()
    assert audit.committed >= 5


def test_secrets_come_in_through_the_stores_only() -> None:
    """A field that holds a secret itself would be shown by GET, kept in the history and logged. The wizard's is in no tree."""
    names = ("password", "secret", "psk", "private", "passphrase", "plain")
    own = {
        f"{body.__module__.removeprefix('doorward.configuration.')}.{name}"
        for body in bodies(Body)
        for name, field in body.model_fields.items()
        if any(word in name for word in names) and str in parts(field.annotation) and in_the_tree(body)
    }
    assert own == {"passwords.plain", "private_keys.private_key", "x509.private_key"}


def in_the_tree(body: type[Body]) -> bool:
    """Whether a body is stored: orders to the API are not, and neither is what the wizard asks."""
    return body.__module__.startswith("doorward.configuration.") and not body.__module__.endswith("._setup")


def parts(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    yield annotation
    for part in typing.get_args(annotation):
        yield from parts(part)


def test_what_was_written_and_committed_is_not_repeated(audit: Audit) -> None:
    check(audit, audit.said)
    assert len(audit.said) > 60


def test_no_address_shows_a_secret(audit: Audit) -> None:
    admin = audit.planter.caller
    paths = everything(admin)
    revisions = [item["meta"]["href"] for item in admin.get("/api/revisions").json["items"]]
    paths += [f"{href}/changes" for href in revisions] + [f"/api/configuration/{name}" for name in ("passwords", "x509")]
    said = [(path, admin.get(path).body) for path in paths]
    assert len(said) > 200
    check(audit, said)


def test_no_secret_object_shows_its_secret(audit: Audit) -> None:
    admin = audit.planter.caller
    said = []
    for store in sorted(STORES):
        keys = {key for path, content in audit.said for key in keys_in(content, store)}
        said += [(f"{store}/{key}", admin.get(f"{store}/{key}").body) for key in sorted(keys)]
    assert len(said) >= 8
    check(audit, said)


def keys_in(content: bytes, store: str) -> set[str]:
    """Keys of the objects of a store that an answer refers to."""
    name = f'"href":"{store}/'
    return {part.partition('"')[0] for part in content.decode().split(name)[1:]}


def test_no_log_shows_a_secret(audit: Audit) -> None:
    lines = [*audit.server.output, *audit.server.errors]
    debug = [line for line in lines if '"level":"debug"' in line]
    assert len(debug) > 100
    check(audit, [("log", log(audit))])


def test_no_support_bundle_holds_a_secret(audit: Audit) -> None:
    admin = audit.planter.caller
    key = admin.post(BUNDLES).ok(202).json["key"]
    until(lambda: admin.body(f"{BUNDLES}/{key}")["status"] == "finished", what="the bundle is made")
    unpacked = gzip.decompress(audit.server.login().get(f"{BUNDLES}/{key}/download").content)
    assert b"planted" in unpacked, "the names of the certificates are in it, so the configuration is"
    check(audit, [("bundle", unpacked)])


def test_no_output_of_the_command_line_shows_a_secret(audit: Audit, tmp_path: Path) -> None:
    doorward = CommandLine(audit.server, tmp_path)
    said = [doorward("get"), doorward("get", "--json"), doorward("history"), doorward("diff", "1"), doorward("diff", "1", "2")]
    assert [done.code for done in said] == [0] * len(said)
    assert "another" in said[0].out
    check(audit, [("command line", f"{done.out}{done.err}".encode()) for done in said])


def test_no_file_of_the_state_directory_holds_a_secret(audit: Audit) -> None:
    own = {
        key: ["PRIVATE KEY"] for key in (Path("backup/signing-key.pem"), Path("cluster/node-key.pem"), Path("history-key.pem"))
    }
    files = [path for path in audit.server.state.rglob("*") if path.is_file() and not path.is_symlink()]
    holding = {
        path.relative_to(audit.server.state): texts for path in files if (texts := audit.planter.seen_in(path.read_bytes()))
    }
    assert {path: texts for path, texts in holding.items() if own.get(path) != texts} == {}
    command = Path(f"/proc/{audit.server.process.pid}/cmdline").read_bytes()  # type: ignore[union-attr]
    environment = Path(f"/proc/{audit.server.process.pid}/environ").read_bytes().replace(PASSWORD.encode(), b"")  # type: ignore[union-attr]
    check(audit, [("command", command), ("environment", environment)])


def test_the_look_is_not_blind(audit: Audit) -> None:
    planted = audit.planter.planted[-3]
    assert audit.planter.seen_in(json.dumps({"a": planted}).encode()) != []


def test_an_export_with_a_password_shows_neither_the_password_nor_anything_in_it(audit: Audit) -> None:
    admin = audit.planter.caller
    password = f"planted-{secrets.token_hex(8)}"
    audit.planter.planted.append(password)
    made = admin.post(EXPORTS, {"encryption": {"password": password, "selection": "password"}}).ok(201)
    href = made.meta["href"]
    refused = admin.post(EXPORTS, {"encryption": {"password": [password], "selection": "password"}}).ok(400)
    content = audit.server.login().get(f"{href}/download").content
    assert len(content) > 1000
    said = [("export", content), ("made", made.body), ("refused", refused.body)]
    check(audit, [*said, *((path, admin.get(path).body) for path in (EXPORTS, href)), ("log", log(audit))])
    files = [path for path in audit.server.state.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if password.encode() in path.read_bytes()] == []


def log(audit: Audit) -> bytes:
    return "".join([*audit.server.output, *audit.server.errors]).encode()
