"""Spans: none where nobody asked, kept in memory here; a real receiver of OTLP is in ``tests/system/test_tracing.py``."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from doorward import tracing


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    stop = tracing.start("1.2.3", exporter)
    yield exporter
    stop()


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    [found] = [one for one in exporter.get_finished_spans() if one.name == name]
    return found


def inner() -> None:
    with tracing.span("inner"):
        pass


def test_a_span_has_its_attributes_and_children(spans: InMemorySpanExporter) -> None:
    with tracing.span("outer", http__request__method="PUT") as outer:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(inner,))
        thread.start()
        thread.join()
        outer.set("http.response.status_code", 200)
    outer_span, inner_span = named(spans, "outer"), named(spans, "inner")
    assert outer_span.attributes == {"http.request.method": "PUT", "http.response.status_code": 200}
    assert outer_span.context is not None
    assert inner_span.parent is not None
    assert inner_span.parent.span_id == outer_span.context.span_id
    assert outer_span.resource.attributes["service.name"] == "doorward"
    assert outer_span.resource.attributes["service.version"] == "1.2.3"


def test_a_failure_is_told_by_its_type_alone(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="hunter2"), tracing.span("failing"):
        raise ValueError("hunter2 is the password")
    failed = named(spans, "failing")
    assert not failed.status.is_ok
    assert failed.attributes == {"error.type": "ValueError"}
    assert "hunter2" not in failed.to_json()


@pytest.mark.parametrize("disabled", ["", "true"])
def test_without_anybody_who_asks_nothing_is_recorded_or_imported(disabled: str) -> None:
    code = "import sys; from doorward import tracing; tracing.start('1')(); s = tracing.span('x')\n"
    code += "assert s is tracing.span('y')\nwith s: s.set('a', 1); s.fail('b')\n"
    code += "assert not [name for name in sys.modules if 'opentelemetry' in name]"
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"} if disabled else {}
    environment = {"PYTHONPATH": ":".join(sys.path), "OTEL_SDK_DISABLED": disabled, **endpoint}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(tracing, "find_spec", lambda _: None)
    with pytest.raises(tracing.MissingLibraryError, match=r"install doorward\[otel\]"):
        tracing.start("1")
