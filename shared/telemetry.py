"""What the app reports of itself: metrics, spans, and log lines of one form. Names and units stand here only.

Our code uses the OpenTelemetry API; without a provider every call is a no-op. In Azure the worker brings provider and
exporter (`PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY`), so nothing here may configure one: all would come twice.
Ids, names of tables and columns, outcomes and numbers go out; never a value from a meeting, never a URL with a query.
"""

from __future__ import annotations

import json
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from opentelemetry import context, metrics, trace
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared import labels
from shared.errors import RowConflict

SCOPE = "outreach_dynamics"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. A `counter` adds up, a `histogram` keeps a distribution, a `gauge` is the last value seen."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    unit: str
    meaning: str
    attributes: tuple[str, ...] = ()

    def record(self, value: float, **attributes: str) -> None:
        """One measurement, with a value for each of `attributes`."""
        _recorder(self)(value, attributes)


EVENTS = Metric(
    "sync.events", "counter", "{event}", "Events by what became of them at this attempt", ("resource", "outcome")
)
EVENT_AGE = Metric(
    "sync.event.age", "histogram", "s", "From the change in Outreach until Dynamics had it: the lag", ("resource",)
)
EVENT_WAIT = Metric("sync.event.wait", "histogram", "s", "From accepted until first taken from the queue")
EVENT_CALLS = Metric("sync.event.calls", "histogram", "{call}", "Calls that one attempt at an event cost", ("service",))
CONFLICTS = Metric("sync.conflicts", "counter", "{round}", "Rounds of the merge begun again because others wrote")
CACHE_HITS = Metric("sync.cache.hits", "counter", "{record}", "People and opportunities that needed no look-up")
THROTTLED = Metric("sync.throttled", "counter", "s", "Pauses that a service asked for", ("service",))
DELIVERIES = Metric(
    "ingest.deliveries", "counter", "{delivery}", "Requests of Outreach by answer and where they lie", ("status", "way")
)
HELD = Metric("ingest.held", "gauge", "{delivery}", "Deliveries that one process holds until storage takes them")
UNVERIFIED = Metric(
    "ingest.unverified", "gauge", "{delivery}", "Deliveries that are kept until a secret fits them", ("kind",)
)
QUEUE_DEPTH = Metric("backlog.queue", "gauge", "{message}", "Messages that wait, those put back with a delay included")
QUEUE_AGE = Metric("backlog.queue.age", "gauge", "s", "How long the oldest message that may be taken has waited")
OVERFLOW_DEPTH = Metric("backlog.overflow", "gauge", "{event}", "Accepted events that lie in the overflow table")
PARKED = Metric("backlog.parked", "gauge", "{meeting}", "Meetings that wait for a setting or a condition")
DEAD_LETTERS = Metric("backlog.dead_letters", "gauge", "{event}", "Events that need a person")
SUBSCRIPTION = Metric("subscription.active", "gauge", "1", "1 while Outreach's webhook is there and active, else 0")

METRICS = (
    EVENTS,
    EVENT_AGE,
    EVENT_WAIT,
    EVENT_CALLS,
    CONFLICTS,
    CACHE_HITS,
    THROTTLED,
    DELIVERIES,
    HELD,
    UNVERIFIED,
    QUEUE_DEPTH,
    QUEUE_AGE,
    OVERFLOW_DEPTH,
    PARKED,
    DEAD_LETTERS,
    SUBSCRIPTION,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of log line: what it is called, when it is written, and its members beside `what`."""

    what: str
    meaning: str
    fields: tuple[str, ...]


LINES = (
    Line(
        "ingest",
        "a delivery was answered with 202; `way` says where it lies; `copy`: it is one with another, which has a line, "
        "`unverified`: it waits for the webhook's secret",
        ("status", "correlation_id", "event", "record", "way", "seconds"),
    ),
    Line(
        "refused",
        "a request was no verified delivery: 400, 401 or 413; `kept` says whether it waits for a secret that fits it: "
        "`yes`, `no`, `full` (there was no room), or `failed` (storage was away)",
        ("correlation_id", "code", "kept"),
    ),
    Line(
        "verified",
        "a delivery that was kept turned out to be right, and went the way of every other; `kind` says why it was kept",
        ("correlation_id", "event", "record", "status", "way", "kind"),
    ),
    Line(
        "unverified",
        "deliveries are kept until a secret fits them, logged once a minute: how many while a secret was not known, "
        "how many that fitted none, all their bytes, the oldest; and how many of them wait for a secret that is not "
        "known",
        ("secret_not_known", "does_not_fit", "bytes", "oldest", "waiting"),
    ),
    Line(
        "not_stored",
        "neither queue nor table took a delivery: 503, and Outreach will not send it again; `reason` is `bounds`: no "
        "more could be held, `waited`: it was held in vain, or `full`: no more could be kept until a secret is known",
        ("correlation_id", "reason"),
    ),
    Line(
        "holding",
        "storage is away, and this many deliveries wait for it in one process, the first one since then",
        ("count", "bytes", "since"),
    ),
    Line(
        "settings",
        "settings are wrong; `part` is `ingest`: a delivery was refused for that, `sync`: an event waits for it, or "
        "`sweep`: the timer, every minute",
        ("part", "problems"),
    ),
    Line(
        "event",
        "one attempt at an event ended; this is the one line about it",
        (
            "correlation_id",
            "event",
            "meeting",
            "outcome",
            "attempts",
            "appointment",
            "columns",
            "code",
            "request_id",
            "seconds",
            "age_seconds",
            "lag_seconds",
            "rounds",
            "status",
            "calls",
            "call_seconds",
            "cache_hits",
            "unresolved",
        ),
    ),
    Line("unforeseen", "an error in the app itself, and where", ("correlation_id", "error", "at")),
    Line(
        "unreadable",
        "a message that is none of ours became a dead letter; a dead letter cannot be read, and stays; or a newer "
        "version of the app sent a message (`newer_version`), which was given back",
        ("correlation_id", "code"),
    ),
    Line("sent_again", "an admin sent a dead letter again", ("correlation_id", "event", "by")),
    Line("write_again", "an admin has a meeting written again", ("correlation_id", "meeting", "by")),
    Line(
        "dismissed",
        "an admin dismissed a dead letter; its journal has the reason that they gave",
        ("correlation_id", "event", "meeting", "code", "by"),
    ),
    Line(
        "expired",
        "a dead letter was kept for `SYNC_RETENTION_DAYS` after its last failure, and is let go",
        ("correlation_id", "event", "meeting", "code"),
    ),
    Line("journal_not_written", "an event is safe, but its journal could not be written", ("correlation_id", "code")),
    Line("statistics_not_stored", "the console's chart misses some events", ("error",)),
    Line(
        "backlog",
        "what waits, once a minute; that it comes shows that the app runs",
        ("queue", "queue_age_seconds", "overflow", "parked", "dead_letters"),
    ),
    Line("sweep", "the timer did something; counts by part", ("parts", "failed")),
    Line(
        "sweep_failed",
        "a part of the timer failed; the others went on; `since`: it has not succeeded since then",
        ("part", "code", "reason", "where", "since"),
    ),
    Line("entry_not_taken", "an entry of Outreach's events API could not be read or stored", ("entry", "code")),
    Line(
        "subscription",
        "an Outreach webhook of this app is missing or was switched off",
        (
            "state",
            "sentence",
            "webhook",
            "resource",
            "action",
            "active",
            "disabled_reason",
            "disabled_since",
            "disabled_until",
            "done",
            "tries",
            "next_try_after",
        ),
    ),
    Line("token_refused", "Outreach refused a refresh token", ("sentence",)),
    Line("token_may_be_spent", "a refresh token was sent without a known result", ("sentence",)),
    Line(
        "claim_not_released", "an instance could not give back its claim on the token; it ends by itself", ("sentence",)
    ),
)

# What stands in a path before the table's or the resource's name.
_API_PREFIX = re.compile(r"^/api/(?:data/)?v[0-9.]+/")
_DATAVERSE = "/api/data/"
# What we ask Outreach for. Its links to further pages are text from outside.
_OUTREACH = frozenset({"prospects", "users", "opportunities", "events", "webhooks"})
_NAME = re.compile(r"[A-Za-z][A-Za-z_]{1,63}")
SLOW_STORAGE_SECONDS = 0.5
# Answers that steer the merge and are no trouble.
_EXPECTED = frozenset({404, 412})


# Members whose text comes from outside, and how it is written. Whoever knows the mapping file has written names of
# events before; without it only those of Outreach itself are known.
_NAMES = labels.Names(dict)
_WRITTEN: Mapping[str, Callable[[str], str]] = {
    "action": _NAMES.action,
    "appointment": labels.record,
    "code": labels.word,
    "entry": labels.record,
    "event": _NAMES.event,
    "meeting": _NAMES.meeting,
    "record": labels.record,
    "request_id": labels.word,
    "resource": _NAMES.resource,
    "webhook": labels.record,
}


def line(what: str, /, **fields: Any) -> str:
    """A log line: JSON whose first member says what it is. The queries in `infra/kql` read these."""
    for name, written in _WRITTEN.items():
        if isinstance(fields.get(name), str) and not isinstance(fields[name], labels.Label):
            fields[name] = written(fields[name])
    return json.dumps({"what": what, **fields})


def where(error: BaseException) -> list[str]:
    """Where `error` came from, innermost last, without its message: that could repeat a value from a meeting."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames][-12:]


@contextmanager
def joined(traceparent: str) -> Iterator[None]:
    """Make the caller's trace the current one, also where the worker has not."""
    token = context.attach(_remote(traceparent))
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def carrying_out(traceparent: str, *, name: str, attempt: int) -> Iterator[Span]:
    """The span of one attempt at a queued event, in the trace of the request that brought it.

    The queue does not carry a trace on, so the host's own span of the invocation is in another one: it is linked.
    """
    invocation = trace.get_current_span().get_span_context()
    with _tracer().start_as_current_span(
        "carry out event",
        context=_remote(traceparent),
        kind=SpanKind.CONSUMER,
        attributes={"messaging.system": "azure_storage_queues", "sync.event": name, "sync.attempt": attempt},
        links=[Link(invocation)] if invocation.is_valid else [],
        record_exception=False,
    ) as span:
        yield span


class Call:
    """A call to a service that is under way."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """`headers`, where a `traceparent` among them names this call as the caller."""
        if "traceparent" not in headers or not self._span.get_span_context().is_valid:
            return headers
        carried = dict(headers)
        _PROPAGATOR.inject(carried)
        return carried

    def answered(self, status: int) -> None:
        """The service answered with this HTTP status."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400 and status not in _EXPECTED:
            self._span.set_status(Status(StatusCode.ERROR))


@contextmanager
def calling(service: str, method: str, resource: str) -> Iterator[Call]:
    """The span of one call to `service`. What it says: the service, the method, a table or resource name, the status.

    No instrumentation of the HTTP library below may add one of its own: it would hold the URL, and a `$filter` in it an
    e-mail address.
    """
    token = context.attach(context.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, value=True))
    try:
        with _tracer().start_as_current_span(
            f"{method} {resource}",
            kind=SpanKind.CLIENT,
            attributes=_call(service, method, resource),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield Call(span)
            except BaseException as error:
                _mark_failed(span, error)
                raise
    finally:
        context.detach(token)


@contextmanager
def storing(method: str, name: str) -> Iterator[None]:
    """A call to a table or queue: a span only where it is slow or fails.

    Five of them for every event would be most of all telemetry and say nothing that the event's log line does not: it
    has their number and time.
    """
    begun, failed = time.time_ns(), None
    try:
        yield
    except RowConflict:
        raise  # it steers the merge and is no trouble
    except BaseException as error:
        failed = error
        raise
    finally:
        if failed is not None or time.time_ns() - begun > SLOW_STORAGE_SECONDS * 1e9:
            attributes = _call("storage", method, name)
            span = _tracer().start_span(
                f"{method} {name}", kind=SpanKind.CLIENT, attributes=attributes, start_time=begun
            )
            if failed is not None:
                _mark_failed(span, failed)
            span.end()


def resource_of(path: str) -> str:
    """The table or resource in a path: `appointments` in `/api/data/v9.2/appointments(…)`. Never an id."""
    rest = _API_PREFIX.sub("", path)
    found = _NAME.match(rest) if rest != path else None
    if found is None or (not path.startswith(_DATAVERSE) and found[0] not in _OUTREACH):
        return "other"
    return found[0]


def _call(service: str, method: str, resource: str) -> dict[str, str]:
    # Azure Monitor names a call after its URL. Ours has no host, no id and no query.
    return {"http.request.method": method, "peer.service": service, "url.full": f"/{resource}"}


def _mark_failed(span: Span, error: BaseException) -> None:
    """By the error's type alone: a message could repeat a value from a meeting."""
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(Status(StatusCode.ERROR))


_PROPAGATOR = TraceContextTextMapPropagator()


def _remote(traceparent: str) -> Context:
    return _PROPAGATOR.extract({"traceparent": traceparent}, context=context.get_current())


def _tracer() -> trace.Tracer:
    return trace.get_tracer(SCOPE)


@cache
def _recorder(metric: Metric) -> Callable[[float, Mapping[str, str]], None]:
    """Made when first used, so that it belongs to whatever provider there is by then."""
    meter = metrics.get_meter(SCOPE)
    match metric.kind:
        case "counter":
            return meter.create_counter(metric.name, unit=metric.unit, description=metric.meaning).add
        case "histogram":
            return meter.create_histogram(metric.name, unit=metric.unit, description=metric.meaning).record
        case "gauge":
            return meter.create_gauge(metric.name, unit=metric.unit, description=metric.meaning).set
