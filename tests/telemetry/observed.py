"""What OpenTelemetry recorded, in the form that tests ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@dataclass(frozen=True)
class Observed:
    """Spans that ended, and metrics since the process began."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def forget(self) -> None:
        """Drop the spans so far; metrics cannot be dropped, so compare them with `metric` from before."""
        self.exporter.clear()

    @property
    def spans(self) -> list[ReadableSpan]:
        """Every span, in the order in which they ended."""
        return list(self.exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def metric(self, name: str, **attributes: str) -> float:
        """The sum of a counter, the sum of a histogram, or the last value of a gauge; 0 where there is none."""
        points = self.points(name, **attributes)
        return float(sum(point.sum if hasattr(point, "sum") else point.value for point in points))

    def points(self, name: str, **attributes: str) -> list[Any]:
        """The data points of a metric that have these attributes."""
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
            if attributes.items() <= dict(point.attributes or {}).items()
        ]


def trace_id(span: ReadableSpan) -> str:
    """The trace that a span belongs to, as 32 hex digits."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


def span_id(span: ReadableSpan) -> str:
    """The span's own id, as 16 hex digits."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.span_id:016x}"
