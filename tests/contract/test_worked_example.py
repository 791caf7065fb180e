"""The worked example of the protocol: the curl commands as they stand there, the answers byte for byte."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.wire import WEB, Reply, canonical, check_shape, logged_in
from tests.support.server import PASSWORD, Server, running

EXAMPLE = Path(__file__).parent / "data" / "worked_example.txt"
EVERY_ANSWER = {
    "cache-control": "no-store",
    "content-language": "en",
    "content-type": "application/json",
    "x-content-type-options": "nosniff",
}
COOKIE = (
    r"session_id=[0-9a-f]{40}; expires=[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT; "
    r"HttpOnly; Max-Age=600; Path=/; Secure"
)
COMMIT = re.compile(r"/api/commits/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Step:
    """One step: the command, and the answer as printed."""

    title: str
    command: str
    status: str
    headers: dict[str, str]
    body: bytes


def steps() -> list[Step]:
    found = []
    for block in re.split(r"(?m)^# (?=\d+\. )", EXAMPLE.read_text())[1:]:
        title, _, rest = block.partition("\n")
        command, _, answer = rest.partition("HTTP/1.1 ")
        head, _, body = answer.partition("\n\n")
        status, *fields = head.split("\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        found.append(Step(title, command, status, headers, body.strip("\n").encode()))
    return found


def run(step: Step, server: Server, folder: Path) -> Reply:
    """Run the command in a shell, where C, S and PASSWORD are what the example says."""
    environment = {
        **os.environ,
        "C": f"curl -sS -i --cacert {server.certificate} -b jar -c jar",
        "S": f"https://127.0.0.1:{server.port}",
        "PASSWORD": PASSWORD,
    }
    output = subprocess.run(["bash", "-c", step.command], env=environment, cwd=folder, capture_output=True, check=True).stdout
    head, _, body = output.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    protocol, number, reason = status.split(" ", 2)
    assert protocol == "HTTP/1.1"
    headers = [(name, value) for name, _, value in (field.partition(": ") for field in fields)]
    return Reply("GET", int(number), reason, headers, body)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Reply]]:
    """The answers to all steps, on an appliance that is at revision 7 with default servers."""
    folder = tmp_path_factory.mktemp("example")
    with running(folder / "state") as server:
        admin = logged_in(server)
        for minutes in (11, 10, 11, 10, 11, 10):
            admin.put(WEB, {"timeout": minutes}).ok()
            admin.commit().ok()
        assert admin.get("/api/revisions").json["items"][0]["key"] == "7"
        admin.close()
        yield [run(step, server, folder) for step in steps()]


def without_warnings(step: Step, answer: Reply) -> tuple[bytes, int]:
    """Body and length of an answer without warnings about servers that do not answer; there is no network here."""
    value: Any = json.loads(answer.body)
    if "warnings" in step.body.decode() or "warnings" not in value["meta"]:
        return answer.body, int(answer.header("Content-Length"))
    assert {warning["code"] for warning in value["meta"].pop("warnings")} <= {"unresolved_name", "no_answer"}
    return canonical(value), len(canonical(value))


def masked(body: bytes) -> str:
    return COMMIT.sub("/api/commits/ID", body.decode())


def test_all_steps_of_the_example_are_read() -> None:
    assert [step.title.partition(".")[0] for step in steps()] == [str(number) for number in range(1, 11)]
    assert [len(step.body) for step in steps()] == [int(step.headers["content-length"]) for step in steps()]


@pytest.mark.parametrize("number", range(1, 11))
def test_answer_is_the_printed_one(answers: list[Reply], number: int) -> None:
    step, answer = steps()[number - 1], answers[number - 1]
    check_shape(answer)
    assert f"{answer.status} {answer.reason}" == step.status
    body, length = without_warnings(step, answer)
    assert masked(body) == masked(step.body)
    assert str(length) == step.headers["content-length"]
    expected = EVERY_ANSWER | {k: v for k, v in step.headers.items() if k in {"allow", "etag", "location"}}
    varying = {"content-length", "date", "set-cookie", "x-request-id"}
    assert {name.lower(): value for name, value in answer.headers if name.lower() not in varying} == expected
    assert len(answer.headers) == len(expected) + len(varying)


def test_every_answer_but_the_last_renews_the_one_cookie(answers: list[Reply]) -> None:
    cookies = [answer.header("Set-Cookie") for answer in answers]
    assert all(re.fullmatch(COOKIE, cookie) for cookie in cookies[:-1])
    assert len({cookie.partition(";")[0] for cookie in cookies[:-1]}) == 1
    assert cookies[-1] == steps()[-1].headers["set-cookie"]
