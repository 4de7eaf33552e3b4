"""Spans, by OpenTelemetry where its extra is installed and it is set up; else nothing at all.

Where spans go, how many, and what the service is called are OpenTelemetry's own variables
(`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME` and others), which its
SDK reads. There is no global tracer: a `Tracing` is handed around.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from openclaw_jobs.kit.traceparent import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

__all__ = ["OFF", "Tracing", "TracingUnavailableError", "open_tracing", "tracing_over"]

_NOTHING: Final = contextlib.nullcontext()
_SERVER_ERROR: Final = 500


class TracingUnavailableError(Exception):
    """Tracing was asked for, and the extra `otel` is not installed."""


class Tracing:
    """Makes spans. Without a tracer it is off, and a span costs a comparison.

    Attributes:
        on: Whether spans are made.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        """See the class."""
        self._tracer = tracer
        self.on = tracer is not None

    def span(
        self, name: str, attributes: Mapping[str, str | int] | None = None
    ) -> contextlib.AbstractContextManager[Any]:
        """A span of what is done in the block, within the span around it."""
        if self._tracer is None:
            return _NOTHING
        return self._tracer.start_as_current_span(name, attributes=attributes)

    @contextlib.contextmanager
    def request(self, method: str, parent: Trace | None) -> Iterator[RequestSpan]:
        """The span of an HTTP request, within the caller's span if it named one.

        Raises:
            RuntimeError: Tracing is off.
        """
        if self._tracer is None:
            raise RuntimeError("tracing is off: there is no span to be had")
        from opentelemetry import trace  # noqa: PLC0415 - an extra

        context = None
        if parent is not None:
            remote = trace.SpanContext(
                trace_id=int.from_bytes(parent.trace_id, "big"),
                span_id=int.from_bytes(parent.span_id, "big"),
                is_remote=True,
                trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
            )
            context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
        with self._tracer.start_as_current_span(
            method,
            context=context,
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": method},
        ) as span:
            yield RequestSpan(span)

    def here(self) -> Trace | None:
        """The present place in a trace; None outside of any, or with tracing off."""
        if self._tracer is None:
            return None
        from opentelemetry import trace  # noqa: PLC0415 - an extra

        found = trace.get_current_span().get_span_context()
        if not found.is_valid:
            return None
        return Trace(found.trace_id.to_bytes(16, "big"), found.span_id.to_bytes(8, "big"))


class RequestSpan:
    """The span of an HTTP request, to be told how it ended."""

    def __init__(self, span: Span) -> None:
        """See the class."""
        self._span = span

    def ended(self, method: str, route: str, status: int | None) -> None:
        """Say what it was: by the route's template, since a path may hold anything."""
        self._span.update_name(f"{method} {route}")
        self._span.set_attribute("http.route", route)
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if status is None or status >= _SERVER_ERROR:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415 - an extra

            self._span.set_status(StatusCode.ERROR)


OFF: Final = Tracing()


@contextlib.contextmanager
def open_tracing(service: str, version: str) -> Iterator[Tracing]:
    """Send spans by OTLP over HTTP until the block ends, which waits for those that are left.

    Args:
        service: What the service is called where `OTEL_SERVICE_NAME` does not say.
        version: What runs.

    Raises:
        TracingUnavailableError: The extra `otel` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise TracingUnavailableError(
            "traces need the extra `otel`: pip install 'openclaw-jobs[server,otel]'"
        ) from error
    # The environment's names are merged over these.
    resource = Resource({"service.name": service, "service.version": version}).merge(
        Resource.create()
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield tracing_over(provider)
    finally:
        provider.shutdown()


def tracing_over(provider: TracerProvider) -> Tracing:
    """Tracing with the spans of `provider`."""
    return Tracing(provider.get_tracer("openclaw_jobs"))
