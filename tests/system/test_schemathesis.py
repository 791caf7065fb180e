"""Generated requests for everything the served document describes: no fault of the server, every answer as documented."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.server import Server, until

EXAMPLES = int(os.environ.get("DOORWARD_EXAMPLES", "2"))
"""Of each operation and mode. The first is the simplest there is, the others are drawn."""
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance,
]  # fmt: skip
OTHER_TYPES = {"/api/audit/sessions", "/api/metrics", "/api/troubleshooting/support-bundle/{id}/download"}


@dataclass
class Api:
    """The server, and a cookie that is renewed when a generated request has ended the login session."""

    server: Server
    cookie: str = ""
    connection: requests.Session = field(default_factory=requests.Session)
    """Is kept from request to request, and takes no cookies."""

    def call(self, case: Any) -> Any:
        return case.call(session=self.connection, cookies={"session_id": self.cookie})

    def log_in(self) -> None:
        self.cookie = self.server.login().http.cookies["session_id"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(Server(tmp_path_factory.mktemp("schemathesis") / "state").start())
    made.connection.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    made.log_in()
    yield made
    made.connection.close()
    made.server.stop()


@pytest.fixture(scope="module")
def document(api: Api) -> Any:
    client = api.server.login()
    config = schemathesis.Config.from_dict({
        "phases": {"coverage": {"enabled": False}, "stateful": {"enabled": False}},
        "base-url": api.server.url,
        "tls-verify": str(api.server.certificate),
    })  # fmt: skip
    return schemathesis.openapi.from_dict(client.get("/api/openapi.json").json(), config=config)


def operations(document: Any) -> Iterator[schemathesis.APIOperation[Any, Any, Any, Any]]:
    """Every described operation but logging in and out, and the stream of events, whose answer never ends."""
    for found in document.get_all_operations():
        operation = found.ok()
        if operation.path not in {"/api/authentication", "/api/live"}:
            yield operation


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_generated_requests_get_documented_answers(api: Api, document: Any, mode: schemathesis.GenerationMode) -> None:
    tried, wrong = 0, {}
    for operation in operations(document):
        tried += 1
        try:
            _try(api, operation.as_strategy(generation_mode=mode), EXAMPLES)
        except (AssertionError, BaseExceptionGroup) as error:
            wrong[operation.label] = "".join(traceback.format_exception(error))[-2000:]
    assert tried > 200
    assert not wrong, "\n\n".join(f"{label}: {text}" for label, text in wrong.items())


def _try(api: Api, cases: Any, examples: int) -> None:
    """Send generated requests of one operation."""

    @hypothesis.settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(cases)
    def send(case: Any) -> None:
        answer = api.call(case)
        if answer.status_code == 401:
            api.log_in()
            answer = api.call(case)
        case.validate_response(answer, checks=CHECKS)
        if case.path not in OTHER_TYPES:
            assert answer.headers["content-type"] == ["application/json"]
        if answer.status_code >= 400:
            shape(answer.json())

    with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # nothing can be wrong with a request that takes nothing
        send()


def shape(value: Any) -> None:
    """The one shape of all errors."""
    assert set(value) == {"error", "meta"}
    assert set(value["error"]) == {"details", "message", "type"}
    assert isinstance(value["error"]["details"], dict)
    assert {"href", "parent"} <= set(value["meta"])


def test_the_server_is_well_afterwards(api: Api) -> None:
    client = api.server.login()
    client.delete("/api/transaction")
    until(lambda: client.get("/api/health_status").json()["health_status"]["issues"]["errors"] == [], 5)
    assert "internal error" not in "".join(api.server.errors)
