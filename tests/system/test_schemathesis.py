"""Generated requests for everything the served document describes: no fault of the server, every answer as documented."""

from __future__ import annotations

import contextlib
import itertools
import json
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
SHARED = 10
"""So many operations that take the same share what is drawn: drawing takes longer than answering."""
PARTS = 3
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


Operation = schemathesis.APIOperation[Any, Any, Any, Any]


@pytest.fixture(scope="module")
def kinds(document: Any) -> list[list[Operation]]:
    """Every described operation but logging in and out, and the stream of events, whose answer never ends.

    Those without a body that take the same parameters are together: what is generated for one of them suits all.
    """
    found: dict[str, list[Operation]] = {}
    for result in document.get_all_operations():
        operation = result.ok()
        if operation.path not in {"/api/authentication", "/api/live"}:
            taken = [parameter.definition for parameter in operation.iter_parameters()]
            kind = operation.label if len(operation.body) else json.dumps([operation.method, taken], sort_keys=True)
            found.setdefault(kind, []).append(operation)
    return list(found.values())


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_generated_requests_get_documented_answers(
    api: Api, kinds: list[list[Operation]], mode: schemathesis.GenerationMode, part: int
) -> None:
    assert sum(map(len, kinds)) > 500
    trial = Trial(api)
    for kind in kinds[part::PARTS]:
        trial.send(kind, mode)
    wrong = {label: "".join(traceback.format_exception(error))[-2000:] for label, error in trial.wrong.items()}
    assert not wrong, "\n\n".join(f"{label}: {text}" for label, text in wrong.items())


@dataclass
class Trial:
    """Sends what is generated, and keeps the first answer of each operation that is wrong."""

    api: Api
    wrong: dict[str, BaseException] = field(default_factory=dict)

    def send(self, kind: list[Operation], mode: schemathesis.GenerationMode) -> None:
        """Send the simplest request to all operations of a kind, and those that are drawn to some of them each, in turn."""
        parts = [kind[first : first + SHARED] for first in range(0, len(kind), SHARED)]
        turns = itertools.chain([kind], itertools.cycle(parts))

        @hypothesis.settings(
            max_examples=1 + (EXAMPLES - 1) * len(parts), deadline=None, derandomize=True, database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )  # fmt: skip
        @hypothesis.given(kind[0].as_strategy(generation_mode=mode))
        def send(case: Any) -> None:
            for operation in next(turns):
                self._try(case if operation is kind[0] else _moved(case, operation))

        with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # nothing can be wrong with a request that takes nothing
            send()

    def _try(self, case: Any) -> None:
        """Send a request."""
        try:
            answer = self.api.call(case)
            if answer.status_code == 401:
                self.api.log_in()
                answer = self.api.call(case)
            case.validate_response(answer, checks=CHECKS)
            if case.path not in OTHER_TYPES:
                assert answer.headers["content-type"] == ["application/json"]
            if answer.status_code >= 400:
                shape(answer.json())
        except (AssertionError, BaseExceptionGroup) as error:
            self.wrong.setdefault(case.operation.label, error)


def _moved(case: Any, operation: Operation) -> Any:
    """Return what was generated for an operation as a request to another one that takes the same."""
    return operation.Case(
        path_parameters=case.path_parameters, headers=case.headers, cookies=case.cookies, query=case.query
    )  # fmt: skip


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
