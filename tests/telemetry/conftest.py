"""One OpenTelemetry provider for these tests, as the worker would bring it, with exporters in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import telemetry
from tests.telemetry.observed import Observed


@pytest.fixture(scope="session")
def telemetry_provider() -> Iterator[Observed]:
    """Set the providers, which a process can do once, and stop them when the last of these tests is done."""
    observed = Observed(InMemorySpanExporter(), InMemoryMetricReader())
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(observed.exporter))
    meters = MeterProvider(metric_readers=[observed.reader])
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    yield observed
    tracers.shutdown()
    meters.shutdown()


@pytest.fixture
def observed(telemetry_provider: Observed, monkeypatch: pytest.MonkeyPatch) -> Observed:
    """What is recorded from here on. No call to storage counts as slow, however slow this machine is."""
    monkeypatch.setattr(telemetry, "SLOW_STORAGE_SECONDS", math.inf)
    telemetry_provider.forget()
    return telemetry_provider
