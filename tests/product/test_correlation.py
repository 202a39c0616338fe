"""The id under which an event is found again: whose trace it is."""

from __future__ import annotations

import json
from types import SimpleNamespace

import azure.functions as func
import pytest

from functions.ingest import ingest
from sandbox.outreach.deliveries import MeetingScript
from shared.pipeline.signature import SIGNATURE_HEADER, sign
from tests.product.bench import SECRET, Installation

CALLERS, HOSTS = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"


def traceparent(trace_id: str) -> str:
    """The header of a call in this trace; none without one."""
    return f"00-{trace_id}-00f067aa0ba902b7-01" if trace_id else ""


@pytest.mark.parametrize(
    ("called", "hosted", "correlation_id"), [(CALLERS, "", CALLERS), (CALLERS, HOSTS, CALLERS), ("", HOSTS, HOSTS)]
)
async def test_the_correlation_id_is_the_callers_trace(
    called: str, hosted: str, correlation_id: str, product: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the request's own header: the host hands a trace on only where Application Insights is set."""
    monkeypatch.setattr("shared.runtime.runtime", lambda: product.runtime)
    body = MeetingScript(1).booked().body
    headers = {SIGNATURE_HEADER: sign(body, SECRET), "traceparent": traceparent(called)}
    request = func.HttpRequest("POST", "https://app/api/outreach/events", headers=headers, body=body)
    context = SimpleNamespace(trace_context=SimpleNamespace(trace_parent=traceparent(hosted)))

    answer = await ingest._function.get_user_function()(request, context)

    assert json.loads(answer.get_body())["correlationId"] == correlation_id
