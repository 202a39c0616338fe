"""One trace per event through the running app: from Outreach's request over the queue to Dataverse and the journal."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from sandbox.outreach.deliveries import MeetingScript
from shared.telemetry import LINES, METRICS
from tests.telemetry import personal
from tests.telemetry.live import Live, live
from tests.telemetry.observed import Observed, span_id, trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE}-00f067aa0ba902b7-01"


class Lines(logging.Handler):
    """Keeps what the app logs, as a worker's handler would get it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        self.records.append(record)

    def of(self, what: str) -> list[dict[str, Any]]:
        """The lines of this kind."""
        lines = (json.loads(record.getMessage()) for record in self.records)
        return [line for line in lines if line["what"] == what]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """All lines of the app, and no others."""
    handler, logger = Lines(), logging.getLogger("outreach_dynamics")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
async def app(azurite: str, monkeypatch: pytest.MonkeyPatch, observed: Observed) -> AsyncIterator[Live]:  # noqa: ARG001 - the provider must be there first
    """The running app under the eyes of an exporter."""
    async with live(azurite, monkeypatch, {}) as running:
        yield running


async def test_one_trace_from_the_answer_to_dataverse(app: Live, observed: Observed, lines: Lines) -> None:
    """The correlation id of the answer is the trace id of every span, of Dataverse's request, journal and log lines."""
    answer = await app.deliver(MeetingScript(7101).booked().body, traceparent=CALLER)
    assert answer.json() == {"status": "accepted", "correlationId": TRACE}

    journal = await app.journal(TRACE)
    assert (journal["outcome"], journal["meetingId"]) == ("created", "meeting:7101")

    consumer, write = observed.span("carry out event"), observed.span("PATCH appointments")
    assert {trace_id(span) for span in observed.spans} == {TRACE}
    assert consumer.parent is not None
    assert write.parent is not None
    assert f"{write.parent.span_id:016x}" == span_id(consumer)

    (request,) = (request for request in app.crm.log.last(1000) if request["method"] == "PATCH")
    assert request["headers"]["traceparent"] == f"00-{TRACE}-{span_id(write)}-01"
    assert request["headers"]["x-ms-correlation-id"].replace("-", "") == TRACE

    for what in ("ingest", "event"):
        (line,) = lines.of(what)
        assert line["correlation_id"] == TRACE


async def test_every_line_is_in_the_table(app: Live, lines: Lines) -> None:
    """Whatever the app logs is a line of the table, with its members and no others; each event has exactly one."""
    script = MeetingScript(7102)
    sent = [await app.deliver(delivery.body) for delivery in (script.booked(), script.changed(title="Other"))]
    sent.append(await app.deliver(MeetingScript(7103).booked(startTime="nonsense").body))
    await app.deliver(b"{}")
    for answer in sent:
        await app.journal(answer.json()["correlationId"])
    await app.sweep()

    known = {line.what: set(line.fields) for line in LINES}
    for record in lines.records:
        line = json.loads(record.getMessage())
        assert record.getMessage().startswith('{"what": "')
        assert line.keys() - {"what"} <= known[line["what"]]
        assert record.exc_info is None
    for what in ("ingest", "event", "refused", "backlog"):
        for line in lines.of(what):
            assert line.keys() - {"what"} == known[what]
    assert [line["code"] for line in lines.of("refused")] == ["not_a_delivery"]
    assert len(lines.of("event")) == len(lines.of("ingest")) == len(sent)


async def test_wrong_settings_are_told_before_an_event_comes(
    azurite: str, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    """The timer tells them every minute in one line, without an error's trace, and still says what waits."""
    async with live(azurite, monkeypatch, {"SYNC_PUSHING": "perhaps"}) as app:
        await app.sweep()
        report = (await app.client.get("/__sandbox/host")).json()
    assert report["functions"]["sweep"]["failures"] == 0
    (line,) = lines.of("settings")
    assert line["part"] == "sweep"
    assert "SYNC_PUSHING" in " ".join(line["problems"])
    assert len(lines.of("backlog")) == 1


async def test_nothing_personal_is_recorded(app: Live, observed: Observed) -> None:
    """Whatever spans and metrics hold of a good event and of a wrong one, it is no title, no text and no address."""
    people: dict[str, Any] = {
        "title": personal.TITLE,
        "description": personal.DESCRIPTION,
        "location": personal.LOCATION,
    }
    good = MeetingScript(7106).booked(**people, prospects=(107, 108, 109), inviteeEmail="somebody@example.com")
    wrong = MeetingScript(7107).booked(**people, startTime={"deep": personal.WRONG_VALUE})
    for delivery in (good, wrong):
        answer = await app.deliver(delivery.body)
        await app.journal(answer.json()["correlationId"])
    assert {span.name for span in observed.spans} >= {"carry out event", "PATCH appointments", "GET contacts"}
    recorded = [span.to_json() for span in observed.spans]
    recorded += [str(observed.points(metric.name)) for metric in METRICS]
    assert [found for text in recorded for found in personal.Watch().in_text(text)] == []


async def test_metrics_answer_questions(app: Live, observed: Observed) -> None:
    """Events by outcome, their lag, wait and cost, deliveries, and what waits, with the attributes of the table."""
    before = {metric.name: observed.metric(metric.name) for metric in METRICS}
    answer = await app.deliver(MeetingScript(7104).booked().body)
    await app.journal(answer.json()["correlationId"])
    dead = await app.deliver(MeetingScript(7105).booked(startTime="nonsense").body)
    await app.journal(dead.json()["correlationId"])
    await app.sweep()

    def more(name: str) -> float:
        return observed.metric(name) - before[name]

    assert more("ingest.deliveries") == 2
    assert more("sync.events") == 2
    assert observed.metric("sync.events", resource="meeting", outcome="dead-lettered") >= 1
    assert observed.points("sync.event.calls", service="dataverse")
    assert observed.points("sync.event.age", resource="meeting")
    assert observed.points("sync.event.wait")
    assert observed.metric("backlog.dead_letters") >= 1
    assert observed.metric("backlog.queue") >= 0
    for metric in METRICS:
        for point in observed.points(metric.name):
            assert set(point.attributes or {}) == set(metric.attributes), metric.name
