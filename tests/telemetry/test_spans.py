"""Spans say which service, which table, which status; and nothing else, whoever else is watching."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from azure.monitor.opentelemetry.exporter.export.trace._exporter import _convert_span_to_envelope
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from shared import telemetry
from shared.errors import RowConflict, Transient
from shared.http.client import Caller
from tests.telemetry.observed import Observed, span_id, trace_id

ROOT = Path(__file__).resolve().parents[2]
TRACE, SPAN = "a" * 32, "b" * 16
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
PERSONAL = "prospect.one@example.com"
QUERY = {"$filter": f"emailaddress1 eq '{PERSONAL}'"}


def answering(status: int = 200, *, seen: list[httpx.Request] | None = None) -> httpx.AsyncClient:
    """A client of a service that always answers with `status`."""

    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return httpx.Response(status)

    return httpx.AsyncClient(base_url="https://example.com", transport=httpx.MockTransport(answer))


def caller(status: int = 200, *, seen: list[httpx.Request] | None = None) -> Caller:
    """Our own caller of such a service."""
    return Caller("dataverse", answering(status, seen=seen))


def instrumented(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """`client` as the distribution in the worker would instrument it unless told otherwise."""
    HTTPXClientInstrumentor.instrument_client(client)
    return client


async def ask(service: Caller) -> None:
    """One request as the directory makes it."""
    await service.send("GET", "/api/data/v9.2/contacts", headers={"traceparent": TRACEPARENT}, params=QUERY)


def everything(span: ReadableSpan) -> str:
    """All that a span would send away."""
    return str(span.to_json())


async def test_a_call_tells_no_query(observed: Observed) -> None:
    """An e-mail address in a `$filter` is in no span, also where an instrumentation of httpx is on."""
    await ask(Caller("dataverse", instrumented(answering())))
    (span,) = observed.spans
    assert PERSONAL not in everything(span)
    assert "filter" not in everything(span)
    assert (span.name, span.kind) == ("GET contacts", SpanKind.CLIENT)
    assert span.attributes == {
        "http.request.method": "GET",
        "peer.service": "dataverse",
        "url.full": "/contacts",
        "http.response.status_code": 200,
    }


async def test_what_azure_monitor_shows(observed: Observed) -> None:
    """There a call has the service as its target and the table in its name, and the query nowhere."""
    await ask(caller(412))
    shown = _convert_span_to_envelope(observed.span("GET contacts")).data.base_data
    assert (shown.type, shown.target, shown.name) == ("HTTP", "dataverse", "GET /contacts")
    assert (shown.result_code, shown.success, shown.data) == ("412", True, "/contacts")
    assert shown.properties == {}


async def test_instrumentation_would_tell(observed: Observed) -> None:
    """Without our guard the query would be out: the test above can fail."""
    async with instrumented(answering()) as client:
        await client.get("/api/data/v9.2/contacts", params=QUERY)
    (span,) = observed.spans
    assert "filter" in everything(span)


async def test_dataverse_is_told_of_our_span(observed: Observed) -> None:
    """The `traceparent` that goes out has the event's trace and the id of the call's own span."""
    seen: list[httpx.Request] = []
    with telemetry.carrying_out(TRACEPARENT, name="meeting.created", attempt=1):
        await ask(caller(seen=seen))
    call = observed.span("GET contacts")
    assert seen[0].headers["traceparent"] == f"00-{TRACE}-{span_id(call)}-01"
    assert "tracestate" not in seen[0].headers
    assert trace_id(call) == TRACE


async def test_no_trace_goes_where_none_was_asked_for(observed: Observed) -> None:
    """Outreach's requests carry no `traceparent`: our traces are none of its business."""
    seen: list[httpx.Request] = []
    await caller(seen=seen).send("GET", "/api/v2/prospects/3", headers={})
    assert "traceparent" not in seen[0].headers
    assert observed.span("GET prospects")


@pytest.mark.parametrize(("status", "failed"), [(200, False), (404, False), (412, False), (400, True), (503, True)])
async def test_only_trouble_is_marked(observed: Observed, status: int, *, failed: bool) -> None:
    """A refused fence and a missing record steer the merge; only what is trouble shows as failed."""
    await ask(caller(status))
    assert (observed.span("GET contacts").status.status_code is StatusCode.ERROR) is failed


async def test_no_answer_is_marked_by_its_type(observed: Observed) -> None:
    """A broken connection is marked by its type; its message, which may hold a URL, is not repeated."""

    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach {PERSONAL}")

    client = httpx.AsyncClient(base_url="https://example.com", transport=httpx.MockTransport(broken))
    with pytest.raises(Transient):
        await ask(Caller("dataverse", client))
    span = observed.span("GET contacts")
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ConnectError"
    assert span.status.status_code is StatusCode.ERROR
    assert PERSONAL not in everything(span)


def test_an_attempt_belongs_to_the_request(observed: Observed) -> None:
    """The consumer's parent is the request that brought the event; the host's own invocation is linked."""
    invocation = "00-" + "c" * 32 + "-" + "d" * 16 + "-01"
    with telemetry.joined(invocation), telemetry.carrying_out(TRACEPARENT, name="meeting.updated", attempt=2):
        pass
    (span,) = observed.spans
    assert span.kind is SpanKind.CONSUMER
    assert trace_id(span) == TRACE
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SPAN
    assert [f"{link.context.trace_id:032x}" for link in span.links] == ["c" * 32]


@pytest.mark.parametrize("broken", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_broken_trace_starts_a_new_one(observed: Observed, broken: str) -> None:
    """An envelope without a usable trace is carried out all the same."""
    with telemetry.carrying_out(broken, name="reconcile", attempt=1):
        pass
    (span,) = observed.spans
    assert span.parent is None


def test_storage_shows_only_when_it_is_trouble(observed: Observed) -> None:
    """A quick call to a table and a lost race leave no span; a failed call leaves one."""
    with telemetry.storing("GET", "meetings"):
        pass
    with pytest.raises(RowConflict), telemetry.storing("PUT", "meetings"):
        raise RowConflict("UpdateConditionNotSatisfied")
    assert observed.spans == []
    with pytest.raises(Transient), telemetry.storing("PUT", "meetings"):
        raise Transient("Azure Storage cannot be reached.", service="storage")
    span = observed.span("PUT meetings")
    assert span.status.status_code is StatusCode.ERROR


def test_slow_storage_shows(observed: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that takes long leaves a span that begins when the call began."""
    monkeypatch.setattr(telemetry, "SLOW_STORAGE_SECONDS", -1)
    with telemetry.storing("GET", "meetings"):
        pass
    span = observed.span("GET meetings")
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time <= span.end_time
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/data/v9.2/appointments(6f3a2f0e-8f57-5d0b-9c1e-3b5d7a4c2e91)", "appointments"),
        ("/api/data/v9.2/WhoAmI", "WhoAmI"),
        ("/api/v2/prospects/101", "prospects"),
        ("/api/app/installs/5/actions/accessToken", "other"),
        ("/oauth/token", "other"),
        ("/api/v2/" + PERSONAL, "other"),
    ],
)
def test_resource_is_a_name(path: str, resource: str) -> None:
    """A path becomes the name of a table; ids, and what should not be there, stay behind."""
    assert telemetry.resource_of(path) == resource


def test_without_a_provider_nothing_breaks() -> None:
    """The API alone, as on a laptop, records nothing and passes the caller's trace on."""
    code = (
        "from shared import telemetry\n"
        f"with telemetry.carrying_out({TRACEPARENT!r}, name='meeting.created', attempt=1):\n"
        "    with telemetry.calling('dataverse', 'GET', 'contacts') as call:\n"
        f"        print(call.headers({{'traceparent': {TRACEPARENT!r}}})['traceparent'])\n"
        "telemetry.EVENTS.record(1, resource='meeting', outcome='created')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == TRACEPARENT


def test_where_tells_no_message() -> None:
    """What is logged of an unforeseen error is where it came from, not what it said."""
    with pytest.raises(ValueError, match=PERSONAL) as caught:
        raise ValueError(PERSONAL)
    told = telemetry.where(caught.value)
    assert told[-1].startswith("test_spans.py:")
    assert PERSONAL not in "".join(told)
