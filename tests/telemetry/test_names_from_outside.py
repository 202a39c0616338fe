"""Spans and metrics hold no name that somebody outside has chosen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.dataverse.faults import Fault, FaultPlan
from sandbox.outreach.deliveries import MeetingScript
from shared.labels import digest
from tests.product.bench import Installation
from tests.telemetry import personal
from tests.telemetry.observed import Observed


def called(**attributes: Any) -> dict[str, Any]:
    """A meeting whose id, and what happened to it, somebody has chosen."""
    document: dict[str, Any] = MeetingScript(1).booked(**attributes).document
    document["data"]["id"] = personal.RECORD
    document["meta"]["eventName"] = f"meeting.{personal.ACTION}"
    return document


async def test_no_span_metric_or_line_repeats_a_name_that_somebody_chose(
    product: Installation, observed: Observed, caplog: pytest.LogCaptureFixture
) -> None:
    """Good events, dead letters, what an admin does with them, and a service that answers with words as its code."""
    caplog.set_level("INFO", logger="outreach_dynamics")
    given = {"status": 400, "code": f"about {personal.WRONG_VALUE}", "message": "x"}
    plan = FaultPlan()
    plan.queue.append(Fault.parse(given, retry_after=0, hold_seconds=0))
    product.crm.faults = plan
    for attributes in ({"startTime": "nonsense"}, {}, {"title": "x"}):
        await product.sync(called(**attributes))
    admin = product.runtime.admin
    first, *others = [dead_letter.correlation_id for dead_letter in await admin.list_dead_letters()]
    await admin.dismiss(frozenset({first}), reason="x", by="Jane Doe")
    await admin.replay(frozenset(others), by="Jane Doe")
    await product.work()
    names = {point.attributes["resource"] for point in observed.points("sync.events")}
    spans = json.dumps([[span.name, dict(span.attributes or {})] for span in observed.spans])
    lines = "\n".join(record.getMessage() for record in caplog.records)
    assert f'"meeting": "meeting:{digest(personal.RECORD)}"' in lines
    assert f"meeting.{digest(personal.ACTION)}" in spans
    assert digest(f"about {personal.WRONG_VALUE}".lower()) in lines
    assert "meeting" in names
    for word in (*personal.PLANTED, "Jane Doe"):
        assert word.lower() not in f"{spans}\n{lines}\n{names}".lower()
