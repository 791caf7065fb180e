"""Secrets stay where they belong: in no output, no answer, no file but their own, and the files are for their owner."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, Client, Server

USERS = "/api/configuration/aaa/local_database/users"
PASSWORDS = "/api/configuration/passwords"
FIRST, SECOND, WRONG = "Fahrenheit-451-burns", "Celsius-233-glows-on", "Kelvin-506-never-was"


@dataclass(frozen=True)
class Used:
    """A server after some use: its secrets by name, and a client that may see everything."""

    server: Server
    client: Client
    secrets: dict[str, bytes]
    token: str


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    server = Server(tmp_path_factory.mktemp("secrecy") / "state", environment={"DOORWARD_LOG_LEVEL": "debug"}, plain=True).start()
    client = server.login()
    key = client.post(PASSWORDS, {"plain": FIRST}).json()["key"]
    made = client.post(USERS, {"name": "jane", "password": key})
    assert made.status_code == 201
    # Refused in ways that could quote what was sent.
    assert client.post(PASSWORDS, {"plain": WRONG + "\n"}).status_code == 400
    assert client.post(PASSWORDS, {"plain": [WRONG]}).status_code == 400
    assert client.post(PASSWORDS, content=f'{{"plain":"{WRONG}"'.encode()).status_code == 400
    assert client.put("/api/transaction", {"status": "commit", "commit_message": "Jane", WRONG: WRONG}).status_code == 200
    jane = server.login("jane", FIRST)
    other = server.client().get("/api/authentication", auth=("jane", WRONG))
    assert other.status_code == 401
    second = client.post(PASSWORDS, {"plain": SECOND}).json()["key"]
    assert client.put(made.headers["Location"], {"name": "jane", "password": second}).status_code == 200
    assert client.commit().status_code == 200
    info = client.body("/api/user/info")
    secrets = {
        "password of admin": PASSWORD.encode(),
        "first password": FIRST.encode(),
        "second password": SECOND.encode(),
        "mistyped password": WRONG.encode(),
        "credentials": base64.b64encode(f"admin:{PASSWORD}".encode()),
        "cookie of admin": client.http.cookies["session_id"].encode(),
        "cookie of jane": jane.http.cookies["session_id"].encode(),
        "data key": (server.state / "data.key").read_bytes(),
        "data key in hex": (server.state / "data.key").read_bytes().hex().encode(),
        "data key in base64": base64.b64encode((server.state / "data.key").read_bytes()),
        "hash": b"$argon2",
        "private key": b"PRIVATE KEY",
    }
    yield Used(server, client, secrets, info["token"])
    server.stop()


def found(content: bytes, used: Used) -> list[str]:
    """Names of the secrets in a text."""
    return [name for name, secret in used.secrets.items() if secret in content]


def walk(client: Client) -> Iterator[tuple[str, bytes]]:
    """Yield everything that can be read: what the document names, and what the lists lead to."""
    paths = client.get("/api/openapi.json").json()["paths"]
    todo = [path for path, methods in paths.items() if "get" in methods and "{" not in path]
    todo += ["/api/configuration", "/api/revisions/1", "/api/revisions/1/changes", "/api/revisions/2/changes"]
    todo += ["/api/revisions/3/changes"]
    todo.remove("/api/live")  # which does not end
    seen = set(todo)
    while todo:
        path = todo.pop()
        answer = client.get(path)
        assert answer.status_code < 500, answer.text
        yield path, answer.content
        if answer.headers["content-type"] == "application/json" and answer.is_success:
            for item in answer.json().get("items", []):
                href = item["meta"]["href"]
                if href not in seen:
                    seen.add(href)
                    todo.append(href)


def test_no_answer_shows_a_secret(used: Used) -> None:
    answers = dict(walk(used.client))
    assert len(answers) > 150
    assert {PASSWORDS, USERS, "/api/metrics", "/api/commits", "/api/revisions/2/changes"} <= answers.keys() | {PASSWORDS}
    for user in used.client.get(USERS).json()["items"]:
        key = user["body"]["password"]["key"] if isinstance(user["body"]["password"], dict) else user["body"]["password"]
        answers[f"{PASSWORDS}/{key}"] = used.client.get(f"{PASSWORDS}/{key}").content
    assert {path: found(content, used) for path, content in answers.items() if found(content, used)} == {}
    shows = [path for path, content in answers.items() if used.token.encode() in content]
    assert shows == ["/api/user/info"]


def test_no_output_shows_a_secret(used: Used) -> None:
    said = "".join(used.server.output + used.server.errors)
    assert '"event":"login"' in said
    assert found(said.encode(), used) == []
    assert used.token not in said


def test_no_file_holds_a_secret_that_is_not_its_own(used: Used) -> None:
    keys = ("backup/signing-key.pem", "cluster/node-key.pem", "history-key.pem")
    own = {"data.key": {"data key"}, **{key: {"private key"} for key in keys}}
    holds = {}
    for path in used.server.state.rglob("*"):
        if path.is_file() and not path.is_symlink():
            name = str(path.relative_to(used.server.state))
            secrets = set(found(path.read_bytes(), used)) - own.get(name, set())
            if secrets:
                holds[name] = secrets
    assert holds == {}


def test_no_command_line_shows_a_secret(used: Used) -> None:
    assert used.server.process
    assert found(Path(f"/proc/{used.server.process.pid}/cmdline").read_bytes(), used) == []


def test_the_state_directory_is_for_its_owner_only(used: Used) -> None:
    state = used.server.state
    inside = [path for path in state.rglob("*") if "root" not in path.relative_to(state).parts and not path.is_symlink()]
    assert {"data.key", "doorward.db", "lock", "ca.pem"} <= {path.name for path in inside}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    wrong = {
        str(path.relative_to(state)): oct(path.stat().st_mode)
        for path in inside
        if path.stat().st_mode & 0o077 and not stat.S_ISSOCK(path.stat().st_mode)
    }
    assert wrong == {}
    assert {stat.S_IMODE(path.stat().st_mode) for path in inside if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in inside if path.is_dir()} == {0o700}
