"""The back-fill: every good row once in the queue, whatever stops it, and nobody disturbed by it."""

from __future__ import annotations

import base64
import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.journey import Journey
from ops.report import Refused
from sandbox.outreach.deliveries import MeetingScript
from sandbox.outreach.exports import good, row, rows, wanted, write_csv, write_json_lines
from shared.admin.backfill import (
    Backfill,
    Pace,
    Progress,
    QueueFeed,
    Record,
    Reject,
    Rules,
    correlation_of,
    count_outcomes,
)
from shared.errors import Permanent, Transient
from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.appointment import Policy
from shared.storage.envelope import Envelope
from tests.product.bench import Installation

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
RULES = Rules(load_mapping(DEFAULT_MAPPING_FILE), Policy())


class Killed(BaseException):
    """SIGKILL, as far as a coroutine can tell."""


@dataclass
class FakeFeed:
    """A queue in memory. `depths`: what it tells, one after the other, then 0; `kill_at`: the step that is the last."""

    envelopes: list[Envelope] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)

    async def put(self, envelope: Envelope) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.envelopes.append(envelope)

    async def depth(self) -> int:
        return self.depths.pop(0) if self.depths else 0


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def work(
    feed: Any, record: Record, *, rules: Rules = RULES, clock: Clock | None = None, rate: float = 4, ahead: int = 50
) -> Backfill:
    clock = clock or Clock()
    return Backfill(
        feed=feed,
        rules=rules,
        pace=Pace(rate, ahead),
        record=record,
        now=lambda: NOW,
        clock=clock,
        sleep=clock.sleep,
    )


async def run(journey: Journey, feed: Any, *, record: Record | None = None, **options: Any) -> Progress:
    """One run of the command, from wherever the progress file says."""
    progress = journey.load()
    with journey.rows() as (found, _):
        return await work(feed, record or journey.record, **options).run(found, progress)


def rejected(journey: Journey) -> list[str]:
    with journey.rejects_file.open(encoding="utf-8", newline="") as file:
        return [entry["row"] for entry in csv.DictReader(file)]


@pytest.mark.parametrize("write", [write_csv, write_json_lines])
async def test_every_row_is_queued_left_out_or_rejected(tmp_path: Path, write: Callable[..., Path]) -> None:
    """The good rows are queued in order under ids that follow from file and row, and the counts add up."""
    journey, feed = Journey(write(tmp_path / "meetings", rows(120))), FakeFeed()
    progress = await run(journey, feed)
    assert [int(envelope.correlation_id[16:], 16) for envelope in feed.envelopes] == sorted(good(120))
    assert {envelope.correlation_id[:16] for envelope in feed.envelopes} == {journey.run}
    assert (progress.row, progress.queued, progress.skipped, progress.rejected) == (120, 114, 3, 3)
    assert rejected(journey) == ["17", "43", "117"]
    assert progress.finished


async def test_a_packed_file_is_read(tmp_path: Path) -> None:
    """Snowflake packs what it unloads."""
    plain = write_csv(tmp_path / "plain.csv", rows(10))
    packed = tmp_path / "meetings.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert (await run(Journey(packed), FakeFeed())).queued == 10


@dataclass
class MortalFeed(FakeFeed):
    """A feed that dies before or after its `steps`-th message was stored."""

    steps: int = 0
    after: bool = False

    async def put(self, envelope: Envelope) -> None:
        self.steps -= 1
        if self.steps == 0 and not self.after:
            raise Killed
        await super().put(envelope)
        if self.steps == 0:
            raise Killed


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(1, 40, 3))
async def test_a_kill_at_any_message_loses_and_doubles_nothing(tmp_path: Path, step: int, *, after: bool) -> None:
    """However far it was, the next run completes it: every good row has one event, every bad one one line."""
    journey = Journey(write_csv(tmp_path / "meetings.csv", rows(60)))
    mortal = MortalFeed(steps=step, after=after)
    with pytest.raises(Killed):
        await run(journey, mortal)
    again = FakeFeed()
    progress = await run(journey, again)
    events = {envelope.correlation_id for envelope in mortal.envelopes + again.envelopes}
    assert events == {correlation_of(journey.run, number) for number in good(60)}
    assert progress.queued == len(good(60))
    assert rejected(journey) == ["17", "43"]
    assert len(mortal.envelopes) + len(again.envelopes) <= len(good(60)) + 4


@pytest.mark.parametrize("die", range(1, 14, 2))
async def test_a_kill_between_rejects_and_progress_doubles_no_reject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, die: int
) -> None:
    """Rejects are written before the progress; what the progress does not know of is cut off and written again."""
    journey = Journey(write_csv(tmp_path / "meetings.csv", rows(60)))
    real, left = Path.replace, [die]

    def replace(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(Killed):
        await run(journey, FakeFeed())
    progress = await run(journey, FakeFeed())
    assert rejected(journey) == ["17", "43"]
    assert (progress.queued, progress.rejected) == (len(good(60)), 2)


async def test_a_finished_file_queues_nothing_more(tmp_path: Path) -> None:
    """Running the command again only looks."""
    journey = Journey(write_csv(tmp_path / "meetings.csv", rows(20)))
    await run(journey, FakeFeed())
    assert journey.load().finished
    assert journey.begin() == Progress(journey.run)


async def test_a_changed_file_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    """A row number means nothing in another file, so its progress is refused with what to do."""
    path = write_csv(tmp_path / "meetings.csv", rows(20))
    await run(Journey(path), FakeFeed())
    write_csv(path, rows(21))
    with pytest.raises(Refused, match="has changed"):
        Journey(path).load()


async def test_rows_are_not_taken_for_something_else_halfway(tmp_path: Path) -> None:
    """A file begun with one resource goes on with that one only; begun anew, its events are others."""
    path = write_csv(tmp_path / "meetings.csv", rows(20))
    begun = Journey(path)
    await run(begun, FakeFeed())
    other = Journey(path, resource="calendarEvent")
    with pytest.raises(Refused, match="--resource meeting"):
        other.load()
    assert other.begin() == Progress(other.run, resource="calendarEvent")
    assert other.run != begun.run


async def test_a_damaged_progress_file_is_told(tmp_path: Path) -> None:
    """The sentence says that removing it does no harm."""
    journey = Journey(write_csv(tmp_path / "meetings.csv", rows(2)))
    journey.progress_file.write_text("{}")
    with pytest.raises(Refused, match="damaged"):
        journey.load()


@pytest.mark.parametrize("companion", ["meetings.csv.progress.json", "meetings.csv.rejects.csv"])
async def test_a_companion_that_cannot_be_written_is_told(tmp_path: Path, companion: str) -> None:
    """Progress that cannot be kept is found before anything is queued."""
    (tmp_path / companion).mkdir()
    feed = FakeFeed()
    with pytest.raises(Refused, match=companion):
        await run(Journey(write_csv(tmp_path / "meetings.csv", rows(20))), feed)
    assert feed.envelopes == []


async def test_rows_wait_while_the_queue_is_long(tmp_path: Path) -> None:
    """Nothing goes in before fewer messages wait than allowed."""
    clock, feed = Clock(), FakeFeed(depths=[50, 80, 49])
    await run(Journey(write_csv(tmp_path / "meetings.csv", rows(3))), feed, clock=clock)
    assert feed.depths == []
    assert clock.seconds >= 4.0
    assert len(feed.envelopes) == 3


async def test_rows_go_in_at_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    """Forty rows at four a second take ten seconds."""
    clock = Clock()
    await run(Journey(write_csv(tmp_path / "meetings.csv", rows(40))), FakeFeed(), clock=clock, rate=4)
    assert clock.seconds == pytest.approx(10.0)


async def test_a_slow_rate_is_one_row_at_a_time(tmp_path: Path) -> None:
    """Less than one row a second is possible too."""
    clock = Clock()
    await run(Journey(write_csv(tmp_path / "meetings.csv", rows(3))), FakeFeed(), clock=clock, rate=0.5)
    assert clock.slept.count(2.0) == 3


async def test_passing_trouble_is_waited_out(tmp_path: Path) -> None:
    """A storage account that is away for a while does not stop the run; each message is stored once."""
    feed = FakeFeed(trouble=[Transient("away", service="storage") for _ in range(5)])
    await run(Journey(write_csv(tmp_path / "meetings.csv", rows(2))), feed)
    assert len({envelope.correlation_id for envelope in feed.envelopes}) == len(feed.envelopes) == 2


async def test_lasting_trouble_stops_the_run_where_it_can_go_on(tmp_path: Path) -> None:
    """When storage stays away the error comes out, and the progress is that of the rows before."""
    journey = Journey(write_csv(tmp_path / "meetings.csv", rows(12)))
    feed = FakeFeed()
    await run(journey, feed, record=_until(journey, 8))
    assert journey.load().row == 8
    with pytest.raises(Transient):
        await run(journey, FakeFeed(trouble=[Transient("away", service="storage") for _ in range(100)]))
    assert journey.load().row == 8


def _until(journey: Journey, last: int) -> Record:
    def record(progress: Progress, rejects: list[Reject]) -> None:
        if progress.row <= last and not progress.finished:
            journey.record(progress, rejects)

    return record


async def test_a_refusal_that_will_not_pass_stops_at_once(tmp_path: Path) -> None:
    """Only trouble that may pass is tried again."""
    feed = FakeFeed(trouble=[Permanent("no", service="storage")])
    with pytest.raises(Permanent):
        await run(Journey(write_csv(tmp_path / "meetings.csv", rows(1))), feed)
    assert feed.envelopes == []


async def test_called_off_meetings_go_in_where_they_matter(tmp_path: Path) -> None:
    """With SYNC_ON_CANCEL=cancel called-off and deleted meetings reach Dynamics, as canceled appointments."""
    path = write_csv(tmp_path / "meetings.csv", [row(60), row(80)])
    rules = Rules(RULES.mapping, Policy(on_cancel="cancel"))
    assert (await run(Journey(path), FakeFeed(), rules=rules)).queued == 2


async def test_meetings_before_a_day_are_left_out(tmp_path: Path) -> None:
    """--starting-from keeps what begins on that day or later."""
    path = write_csv(tmp_path / "meetings.csv", [row(5), row(6), row(7)])  # begin on 6, 7 and 8 December
    rules = Rules(RULES.mapping, Policy(), starting_from=date(2025, 12, 7))
    progress = await run(Journey(path), FakeFeed(), rules=rules)
    assert (progress.queued, progress.skipped) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"END_TIME": "2025-12-06 04:00:00"}, "ends before it starts"),
        ({"START_TIME": ""}, "START_TIME or END_TIME is empty"),
        ({"CANCELED": "perhaps"}, "CANCELED is neither true nor false"),
        ({"O_ID": "8"}, "O_ID is not 7"),
        ({"UPDATED_AT": "2027-01-01 00:00:00"}, "cannot be true"),  # it would win against every event until then
        ({"UPDATED_AT": "1970-01-01 00:00:00"}, "cannot be true"),
    ],
)
async def test_what_cannot_work_is_rejected_with_its_row(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    """A row is mapped before it is queued, so it is reported here and not as a dead letter."""
    journey = Journey(write_csv(tmp_path / "meetings.csv", [row(4), row(5, **changes)]))
    progress = await run(journey, FakeFeed())
    assert (progress.queued, progress.rejected) == (1, 1)
    assert reason in journey.rejects_file.read_text()


def _queue(product: Installation) -> QueueFeed:
    return QueueFeed(product.runtime.queue, product.runtime.outbox)


async def test_rows_become_appointments_and_are_counted(product: Installation, tmp_path: Path) -> None:
    """Through the real queue and tables: one appointment per good row, a journal row each, counted by outcome."""
    given = [*rows(20), row(21, PROSPECT_IDS="[]"), row(22, DESCRIPTION="long " * 30_000)]
    progress = await run(Journey(write_csv(tmp_path / "meetings.csv", given)), _queue(product))
    await product.work()
    appointments = {appointment.values["subject"] for appointment in product.crm.appointments.values()}
    assert appointments == {f"Meeting {number}" for number in range(1, 23) if number != 21 and wanted(number)}
    counted = await count_outcomes(product.runtime.journal, progress)
    assert counted.outcomes == Counter(created=19, parked=2)
    assert counted.reasons == Counter({("parked", "The meeting has no prospect."): 2})


async def test_a_row_sent_twice_is_written_once(product: Installation, tmp_path: Path) -> None:
    """What a kill doubled in the queue changes nothing in Dynamics."""
    journey = Journey(write_csv(tmp_path / "meetings.csv", rows(6)))
    await run(journey, _queue(product), record=lambda _progress, _rejects: None)
    await run(journey, _queue(product))
    assert await product.work() == 12
    assert len(product.writes()) == 6


async def test_an_older_row_loses_against_a_live_event(product: Installation, tmp_path: Path) -> None:
    """What an event said later than UPDATED_AT stands, and what only the row knows is added."""
    script = MeetingScript(1_000_005, now=datetime(2025, 12, 1, tzinfo=UTC))
    await product.sync(script.booked(title="As of the event", location=None, description=None))
    path = write_csv(tmp_path / "meetings.csv", [row(5, OPPORTUNITY_ID="301")])
    await run(Journey(path), _queue(product))
    await product.work()
    _, second = product.writes()
    assert set(second) == {"regardingobjectid_opportunity_appointment@odata.bind", "headers"}
    assert product.appointment.values["subject"] == "As of the event"


@pytest.mark.parametrize("meeting", [None, 5])
async def test_rows_of_calendar_events_are_those_of_deliveries(
    product: Installation, tmp_path: Path, meeting: int | None
) -> None:
    """Where ID is the calendar event's, a row is about the appointment that its deliveries made, not another one."""
    live = MeetingScript(1_000_005, resource="calendarEvent", meeting=meeting, now=datetime(2025, 11, 1, tzinfo=UTC))
    await product.sync(live.booked(title="As of the event"))
    journey = Journey(write_csv(tmp_path / "meetings.csv", [row(5)]), resource="calendarEvent")
    await run(journey, _queue(product), rules=replace(RULES, resource="calendarEvent"))
    await product.work()
    assert product.appointment.values["subject"] == "Meeting 5"  # there is only this one
    entries = await product.runtime.journal.between(journey.run, journey.run + "~")
    assert entries[0].event == "calendarEvent.backfill"


async def test_a_called_off_calendar_event_is_left_out(tmp_path: Path) -> None:
    """What a calendar event says of itself counts like what a meeting says."""
    journey = Journey(write_csv(tmp_path / "meetings.csv", [row(60), row(80)]), resource="calendarEvent")
    assert (await run(journey, FakeFeed(), rules=replace(RULES, resource="calendarEvent"))).skipped == 2


async def test_a_later_row_wins_against_an_older_event(product: Installation, tmp_path: Path) -> None:
    """What the app missed is made good by the export."""
    script = MeetingScript(1_000_005, now=datetime(2025, 11, 1, tzinfo=UTC))
    await product.sync(script.booked(title="As of the event"))
    await run(Journey(write_csv(tmp_path / "meetings.csv", [row(5)])), _queue(product))
    await product.work()
    assert product.appointment.values["subject"] == "Meeting 5"


async def test_the_envelope_is_traced_like_an_event(tmp_path: Path) -> None:
    """A row's message has a trace of its own, and its correlation id is the trace id."""
    feed = FakeFeed()
    await run(Journey(write_csv(tmp_path / "meetings.csv", rows(1))), feed)
    message = json.loads(base64.b64decode(feed.envelopes[0].to_message()))
    assert message["traceparent"].split("-")[1] == message["correlation_id"]
    assert datetime.fromisoformat(message["received_at"]) == NOW + timedelta(0)
