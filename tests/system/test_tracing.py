"""Traces of a real server at a real receiver of OTLP over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.server import running

SECRET = "An0ther-horse-and-battery"


class Receiver(ThreadingHTTPServer):
    """Takes what is sent to ``/v1/traces``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: list[bytes] = []

    @property
    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.taken]
        scopes = [scope for request in requests for resource in request.resource_spans for scope in resource.scope_spans]
        return [span for scope in scopes for span in scope.spans]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.server.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
        pass


@contextmanager
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_a_commit_is_seen_from_the_request_to_its_steps(tmp_path: Path) -> None:
    with receiver() as told:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{told.server_port}"}
        with running(tmp_path / "state", environment=environment, plain=True) as server:
            client = server.login()
            client.post("/api/transaction")
            client.post("/api/configuration/passwords", {"plain": SECRET})
            client.put("/api/configuration/datetime/timezone", "Europe/Budapest")
            assert client.commit().status_code == 200
            assert client.get("/api/nowhere?word=typed").status_code == 404
        spans = told.spans
    by_id = {span.span_id: span for span in spans}
    [commit] = [span for span in spans if span.name == "commit"]
    steps = [span.name for span in spans if span.parent_span_id == commit.span_id]
    assert steps == ["commit.plan", "commit.journal", "commit.apply", "commit.publish"]
    request = {one.key: one.value for one in by_id[commit.parent_span_id].attributes}
    assert request["url.path"].string_value == "/api/transaction"
    assert request["http.response.status_code"].int_value == 200
    assert {"POST", "PUT", "GET"} <= {span.name for span in spans}
    sent = b"".join(told.taken)
    for kept_back in (SECRET, "Budapest", "typed", "admin"):
        assert kept_back.encode() not in sent
