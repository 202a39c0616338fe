"""Judging what was kept: what fits goes on, what does not is not tried again, and nothing keeps the others."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from shared.errors import BadDelivery, BadSettings, Transient
from shared.pipeline.ingest import Arrival, Receipt
from shared.pipeline.signature import VerifiedBody, sign
from shared.pipeline.unverified import CHUNK_ROWS, Judge, Judged
from shared.settings import WebhookSecrets
from shared.storage.account import Table
from shared.storage.journal import Journal
from shared.storage.unverified import KEPT_FOR, Kind, Totals, Unverified, UnverifiedTable
from shared.timestamps import sortable
from tests.clock import Clock

RIGHT, OLD = "the-right-secret-of-the-webhook", "old"
KNOWN = WebhookSecrets(RIGHT)

Tables = Callable[[str], Table]


@dataclass
class Court:
    """A table of what was kept, and what becomes of it."""

    tables: Tables
    clock: Clock
    troubles: dict[bytes, Exception] = field(default_factory=dict)
    taken: list[tuple[bytes, Arrival]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept = UnverifiedTable(self.tables("unverified"), now=self.clock.now)
        self.journal = Journal(self.tables("correlations"))

    async def add(self, number: int, *, kind: Kind = "does_not_fit", secret: str = RIGHT, tried: str = "") -> None:
        """A delivery that was kept."""
        body = f"body {number}".encode()
        await self.kept.keep(
            Unverified(
                kind=kind,
                body=body,
                signature=sign(body, secret),
                correlation_id=f"{number:032x}",
                traceparent=f"00-{number:032x}-{number:016x}-01",
                event_id=f"event-{number}",
                received_at=sortable(self.clock.now()),
                tried=tried,
            )
        )

    async def judge(self, secrets: WebhookSecrets = KNOWN) -> Judged:
        """One run of the timer, in a process that has just started."""
        self.clock.pass_by(minutes=1)
        return await self.judging(secrets).run()

    def judging(self, secrets: WebhookSecrets) -> Judge:
        """What the timer runs."""
        made = {"kept": self.kept, "journal": self.journal, "take_in": self.take_in, "now": self.clock.now}
        return Judge(secrets=secrets, **made)  # type: ignore[arg-type]

    async def take_in(self, verified: VerifiedBody, arrival: Arrival) -> Receipt:
        """The way of every delivery."""
        if error := self.troubles.get(verified.raw):
            raise error
        self.taken.append((verified.raw, arrival))
        status, way = ("ignored", "none") if b"9" in verified.raw else ("accepted", "queue")
        return Receipt(status, arrival.trace.correlation_id, "meeting.created", "5", way)  # type: ignore[arg-type]

    async def outcomes(self, number: int) -> list[tuple[str, str | None]]:
        """What the journal says of one."""
        entries = await self.journal.read(f"{number:032x}")
        return [(entry.outcome, entry.error_code or None) for entry in entries]


@pytest.fixture
def court(tables: Tables, clock: Clock) -> Court:
    return Court(tables, clock)


@pytest.mark.parametrize("kind", ["secret_not_known", "does_not_fit"])
@pytest.mark.parametrize("secrets", [KNOWN, WebhookSecrets("another-secret", RIGHT)], ids=["current", "previous"])
async def test_what_fits_goes_the_way_of_every_delivery(court: Court, kind: Kind, secrets: WebhookSecrets) -> None:
    """With its own correlation id, trace, event id and arrival; then its row is gone."""
    await court.add(1, kind=kind)
    arrived = sortable(court.clock.now())
    assert (await court.judge(secrets)).taken_in == 1
    ((body, arrival),) = court.taken
    assert (body, arrival.event_id, arrival.received_at) == (b"body 1", "event-1", arrived)
    assert arrival.trace.traceparent == f"00-{1:032x}-{1:016x}-01"
    assert await court.kept.totals() == Totals()
    assert await court.judge(secrets) == Judged()
    assert len(court.taken) == 1


async def test_what_does_not_fit_stays_and_is_not_tried_again(court: Court) -> None:
    """Not with the same secrets; with others it is, and goes then."""
    await court.add(1, secret="a-secret-that-comes-later")
    assert (await court.judge()) == Judged(0, 1, Totals(0, 1, 6, sortable(court.clock.moment - timedelta(minutes=1))))
    assert (await court.judge()).unfit == 0
    assert (await court.judge(WebhookSecrets(RIGHT, OLD))).unfit == 1
    assert (await court.judge(WebhookSecrets("a-secret-that-comes-later"))).taken_in == 1


async def test_it_was_tried_with_the_secrets_of_its_arrival(court: Court) -> None:
    """So it is not tried with those a second time."""
    await court.add(1, secret="another-secret", tried=KNOWN.digest)
    judged = await court.judge()
    assert (judged.unfit, judged.left.rows) == (0, 1)


async def test_without_a_secret_nothing_is_tried_but_all_is_counted(court: Court) -> None:
    """And what has been kept for seven days goes all the same."""
    await court.add(1, kind="secret_not_known")
    judged = await court.judge(WebhookSecrets(unresolved=True))
    assert (judged.taken_in, judged.unfit, judged.left.secret_not_known) == (0, 0, 1)
    court.clock.pass_by(seconds=KEPT_FOR.total_seconds())
    assert (await court.judge(WebhookSecrets(unresolved=True))).left == Totals()


async def test_who_was_answered_yes_reads_refused_until_it_fits(court: Court) -> None:
    """In the journal, under the id of the answer; who was answered no finds nothing, as ever."""
    await court.add(1, kind="secret_not_known")
    await court.add(2, kind="does_not_fit")
    await court.add(9, kind="secret_not_known")
    assert await court.outcomes(1) == []
    await court.judge(WebhookSecrets("not-the-right-secret"))
    assert [await court.outcomes(number) for number in (1, 2, 9)] == [
        [("refused", "signature_wrong")],
        [],
        [("refused", "signature_wrong")],
    ]
    await court.judge()
    assert len(court.taken) == 3
    assert await court.outcomes(9) == [("ignored", None)]  # the worker writes over the others


async def test_what_is_signed_and_no_delivery_is_done_with(court: Court, caplog: pytest.LogCaptureFixture) -> None:
    """It is refused as any other would be, and does not come again."""
    await court.add(1, kind="secret_not_known")
    await court.add(2)
    for number in (1, 2):
        court.troubles[f"body {number}".encode()] = BadDelivery("not_json", "The body is not JSON.")
    assert (await court.judge()).left == Totals()
    assert [await court.outcomes(number) for number in (1, 2)] == [[("refused", "not_json")], []]
    lines = [json.loads(record.message) for record in caplog.records]
    assert {(one["what"], one["code"]) for one in lines} == {("refused", "not_json")}


@pytest.mark.parametrize("trouble", [Transient("away", service="storage"), BadSettings(["SYNC_QUEUE_NAME is wrong."])])
async def test_what_cannot_be_stored_now_waits_for_the_next_run(
    court: Court, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """What was stored is done with; the run says why it ended."""
    for number in range(3):
        await court.add(number)
    court.troubles[b"body 1"] = trouble
    assert await court.judge() == Judged()
    failed = [json.loads(record.message) for record in caplog.records if record.levelno == logging.ERROR]
    assert [(one["what"], one["part"]) for one in failed] == [("sweep_failed", "unverified")]
    court.troubles.clear()
    assert (await court.judge()).taken_in == 1
    assert sorted(body for body, _ in court.taken) == [b"body 0", b"body 1", b"body 2"]


async def test_how_long_it_has_failed_is_told(court: Court, caplog: pytest.LogCaptureFixture) -> None:
    """The alert on parts of the timer reads that."""
    await court.add(1)
    court.troubles[b"body 1"] = Transient("away", service="storage")
    judge = court.judging(KNOWN)
    first = sortable(court.clock.now())
    for _ in range(3):
        await judge.run()
        court.clock.pass_by(minutes=1)
    assert {json.loads(record.message)["since"] for record in caplog.records} == {first}


async def test_a_bug_on_one_keeps_no_other_and_loses_nothing(court: Court, caplog: pytest.LogCaptureFixture) -> None:
    """It is reported without what it says, and tried again with the next version of the app."""
    for number in range(3):
        await court.add(number)
    court.troubles[b"body 1"] = ZeroDivisionError("a value of the meeting")
    assert (await court.judge()).taken_in == 2
    assert "unforeseen" in caplog.text
    assert "a value" not in caplog.text
    court.troubles.clear()
    assert (await court.judge()).taken_in == 1


async def test_one_that_cannot_be_read_keeps_no_other(court: Court, caplog: pytest.LogCaptureFixture) -> None:
    """Another version of the app may read it."""
    for number in range(3):
        await court.add(number)
    found = await court.tables("unverified").query("PartitionKey eq 'kept'", {}, limit=10)
    await court.tables("unverified").put({**found[1], "data00": b"of a newer version"})
    judged = await court.judge()
    assert (judged.taken_in, judged.left.rows) == (2, 1)
    assert "unreadable" in caplog.text


async def test_many_are_judged_in_one_run(court: Court, caplog: pytest.LogCaptureFixture) -> None:
    """In chunks; the genuine ones among them are found, and those that were answered yes come first."""
    caplog.set_level(logging.INFO, logger="outreach_dynamics")
    many, genuine = CHUNK_ROWS + 30, {3, 50, 127}
    for number in range(many):
        secret = RIGHT if number in genuine else f"forged {number}"
        await court.add(number, kind="secret_not_known" if number == 127 else "does_not_fit", secret=secret)
    judged = await court.judge()
    assert (judged.taken_in, judged.unfit, judged.left.rows) == (3, many - 3, many - 3)
    assert court.taken[0][0] == b"body 127"
    lines = [json.loads(record.message) for record in caplog.records]
    assert next(one["correlation_id"] for one in lines if one["what"] == "verified") == f"{127:032x}"
    assert {one["does_not_fit"] for one in lines if one["what"] == "unverified"} == {many - 3}


async def test_an_empty_table_costs_one_look_a_minute(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is nearly always."""
    await court.judge()
    await court.judge()

    async def nobody_counts(_: UnverifiedTable) -> Totals:
        raise AssertionError

    monkeypatch.setattr(UnverifiedTable, "count", nobody_counts)
    monkeypatch.setattr(UnverifiedTable, "untried", nobody_counts)
    assert await court.judge() == Judged()


async def test_how_many_wait_for_the_secret_is_told(court: Court, caplog: pytest.LogCaptureFixture) -> None:
    """While it is not known; afterwards they are what does not fit."""
    await court.add(1, kind="secret_not_known", secret="another")
    await court.add(2)
    for secrets in (WebhookSecrets(unresolved=True), KNOWN):
        await court.judge(secrets)
    lines = [json.loads(record.message) for record in caplog.records]
    assert [(one["secret_not_known"], one["does_not_fit"], one["waiting"]) for one in lines] == [(1, 1, 1), (1, 0, 0)]
    assert set(lines[0]) == {"what", "secret_not_known", "does_not_fit", "bytes", "oldest", "waiting"}
