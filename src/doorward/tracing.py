"""Traces for OpenTelemetry: spans of requests, commits, backups and the beginnings of sessions, sent by OTLP over HTTP.

They are for who installed the extra ``otel`` and says by OTEL_EXPORTER_OTLP_ENDPOINT where they go; the other variables of the
OpenTelemetry specification count too. Everybody else pays one look at a variable for each span. Nothing that anybody typed is
in a span: no bodies, no query, no names of users.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Final, Protocol, Self

STOP_MILLISECONDS: Final = 5_000
"""How long what is left may take to be sent at the end."""
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Span(Protocol):
    """Something that takes its time, for a ``with`` block. Spans within it are its children."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End; with an exception it has failed."""
        ...

    def set(self, name: str, value: str | int) -> None:
        """Add what is known by now."""
        ...

    def fail(self, kind: str) -> None:
        """Say that it failed, and with what type of error."""
        ...


class NoSpan:
    """Leaves no trace."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def set(self, name: str, value: str | int) -> None:
        """Add nothing."""

    def fail(self, kind: str) -> None:
        """Say nothing."""


class RecordedSpan:
    """A span of OpenTelemetry."""

    __slots__ = ("_context", "_span")

    def __init__(self, context: Any) -> None:
        self._context = context
        self._span: Any = None

    def __enter__(self) -> Self:
        self._span = self._context.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.fail(kind.__name__)
        # The text of an exception may hold what somebody typed, so it is not handed on.
        self._context.__exit__(None, None, None)

    def set(self, name: str, value: str | int) -> None:
        """Add an attribute."""
        if self._span is not None:
            self._span.set_attribute(name, value)

    def fail(self, kind: str) -> None:
        """Mark it as failed."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute("error.type", kind)
            self._span.set_status(StatusCode.ERROR)


class MissingLibraryError(Exception):
    """Traces are asked for, and what sends them is not installed."""


_NONE: Final = NoSpan()
_tracer: Any = None


def span(name: str, **attributes: str | int) -> Span:
    """Return a span; names of attributes have ``__`` for a point."""
    if _tracer is None:
        return _NONE
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return RecordedSpan(_tracer.start_as_current_span(name, attributes=named))


def is_wanted() -> bool:
    """Return whether the environment asks for traces."""
    return any(os.environ.get(name) for name in _ENDPOINTS) and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


def start(release: str, exporter: Any = None) -> Callable[[], None]:
    """Begin to record where that is wanted; return what ends it. Raises MissingLibraryError.

    ``exporter`` takes the spans as they end, in place of the one for OTLP, and is wanted whatever the environment says.
    """
    global _tracer  # noqa: PLW0603 - one for the process, looked at by every span
    if exporter is None and not is_wanted():
        return _nothing
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        raise MissingLibraryError("traces are asked for (OTEL_EXPORTER_OTLP_ENDPOINT); install doorward[otel] to send them")
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "doorward")
    provider = TracerProvider(
        resource=Resource.create({"service.name": name, "service.version": release}), shutdown_on_exit=False
    )
    if exporter is None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    else:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    _tracer = provider.get_tracer("doorward", release)

    def stop() -> None:
        global _tracer  # noqa: PLW0603 - as above
        _tracer = None
        provider.force_flush(STOP_MILLISECONDS)
        provider.shutdown()

    return stop


def _nothing() -> None:
    return None
