"""The parts of the bench: proxies that count, a naive build that works, verdicts, prices."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO

import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient
from rich.console import Console

from bench import cost, rates
from bench.builds import Naive
from bench.calls import PerEvent
from bench.cost import TELEMETRY_KB
from bench.laboratory import SECRET
from bench.naive import MEETING_COLUMN
from bench.report import Measure, broken, to_json, to_table
from bench.wire import Wire
from bench.workload import Wanted, in_disorder, in_turn, meetings
from sandbox.appointments import read_appointment
from sandbox.azurite import ROOT, StorageNames, connection_string
from sandbox.dataverse import create_app as dataverse_app
from sandbox.dataverse.schema import Column
from sandbox.dataverse.seed import seed as seed_dataverse
from sandbox.dataverse.store import Store
from sandbox.outreach.app import create_app as outreach_app
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN
from tests.product.bench import served

COUNTED = Measure("calls", "Dataverse", 1.0, budget=1.05, counted=True)


async def test_wire_passes_on_and_counts(azurite: str, storage_names: StorageNames) -> None:
    """Signed requests of both SDKs reach storage through the proxies, odd keys too, and each is counted once."""
    found = dict(re.findall(r"(Blob|Queue|Table)Endpoint=(http://127\.0\.0\.1:\d+)/", azurite))
    name, key = storage_names.table("wire"), "meeting:1 'ü/%2F"
    async with Wire(found["Queue"]) as queues, Wire(found["Table"]) as tables:
        storage = connection_string(int(found["Blob"].rpartition(":")[2]), queues.port, tables.port)
        async with TableServiceClient.from_connection_string(storage) as service:
            table = await service.create_table(name)
            await table.create_entity({"PartitionKey": "p", "RowKey": key.replace("/", "~"), "text": "ü"})
            assert (await table.get_entity("p", key.replace("/", "~")))["text"] == "ü"
        async with QueueServiceClient.from_connection_string(storage) as service_of_queues:
            queue = await service_of_queues.create_queue(storage_names.queue("wire"))
            await queue.send_message("a message")
            message = await queue.receive_message()
            assert message is not None
            assert message.content == "a message"
    assert dict(tables.counts) == {"POST Tables": 1, f"POST {name}": 1, f"GET {name}": 1}
    queue_name = storage_names.queue("wire")
    assert dict(queues.counts) == {
        f"PUT {queue_name}": 1,
        f"POST {queue_name}/messages": 1,
        f"GET {queue_name}/messages": 1,
    }


async def test_naive_build_is_right_when_nothing_goes_wrong() -> None:
    """It is no straw man: in order, one at a time and each once, every meeting ends as it must."""
    crm = Store()
    seed_dataverse(crm)
    appointments = crm.tables["appointments"]
    crm.tables["appointments"] = appointments.extended(Column(MEETING_COLUMN, "String", max_length=100))
    asked = meetings(range(1, 9))
    async with served(dataverse_app(crm)) as dataverse_url, served(outreach_app()) as outreach_url:
        naive = Naive(
            {
                "OUTREACH_WEBHOOK_SECRET": SECRET,
                "OUTREACH_API_URL": outreach_url,
                "OUTREACH_API_TOKEN": DEVELOPMENT_TOKEN,
                "DATAVERSE_URL": dataverse_url,
            }
        )
        run = await naive.run(in_turn(asked), workers=1)
        await naive.aclose()
    assert run.failed == 0
    rows = {int(str(row.values[MEETING_COLUMN])): row for row in crm.appointments.values()}
    assert len(crm.appointments) == len(asked)
    for meeting in asked:
        row = rows[meeting.number]
        shown = {**row.values, "appointment_activity_parties": [party.values for party in row.parties]}
        assert Wanted.of(read_appointment(shown)) == meeting.wanted


async def test_what_fails_is_told() -> None:
    """With nobody to call every delivery fails and counts as failed, so that failing makes no speed."""
    deliveries = in_turn(meetings(range(1, 3)))
    environment = {
        "OUTREACH_WEBHOOK_SECRET": SECRET,
        "OUTREACH_API_URL": "http://127.0.0.1:9",
        "OUTREACH_API_TOKEN": DEVELOPMENT_TOKEN,
        "DATAVERSE_URL": "http://127.0.0.1:9",
    }
    naive = Naive(environment)
    run = await naive.run(deliveries)
    await naive.aclose()
    assert run.failed == len(deliveries) == run.events


def test_disorder_keeps_everything() -> None:
    """Every delivery is sent, some twice, and not in the order in which it was made."""
    asked = meetings(range(1, 31))
    ordered, disordered = in_turn(asked), in_disorder(asked)
    assert set(disordered) == set(ordered)
    assert len(disordered) > len(ordered)
    turned = 0
    for meeting in asked:
        mine = [delivery for delivery in disordered if delivery in meeting.deliveries]
        turned += tuple(dict.fromkeys(mine)) != meeting.deliveries
    assert turned


@pytest.mark.parametrize(
    ("measure", "verdict", "fails"),
    [
        (COUNTED, "ok", False),
        (replace(COUNTED, ours=1.06), "over", True),
        (replace(COUNTED, ours=1.06, counted=False), "over", False),
        (replace(COUNTED, budget=None), "", False),
        (replace(COUNTED, ours=0.0, budget=0.0), "ok", False),
    ],
)
def test_only_a_counted_budget_fails_the_run(measure: Measure, verdict: str, *, fails: bool) -> None:
    """A time over its budget is reported; a count over its budget fails."""
    assert measure.verdict == verdict
    assert bool(broken([measure])) == fails
    assert to_json([measure], quick=True)["broken"] == (["Dataverse"] if fails else [])


def test_the_table_says_which_budget_is_broken() -> None:
    """A reader sees the budget, both builds, their ratio and the verdict; dollars look like dollars."""
    price = Measure("dollars", "together", 36.478, "$", naive=13.0)
    console = Console(width=120, record=True, file=StringIO())
    console.print(to_table([replace(COUNTED, ours=1.06, naive=2.12), price]))
    rows = [[cell.strip() for cell in row.split("│")[1:-1]] for row in console.export_text().splitlines()]
    assert ["Dataverse", "≤ 1.05", "1.06", "2.12", "0.50", "over"] in rows
    assert ["together", "", "$36.48", "$13.00", "2.81", ""] in rows


def test_percentile_is_a_time_that_was_measured() -> None:
    """The median of five is the third, and p95 of twenty the nineteenth."""
    assert rates.percentile([5.0, 1.0, 4.0, 2.0, 3.0], 50) == 3.0
    assert rates.percentile([float(number) for number in range(20)], 95) == 18.0
    assert rates.percentile([7.0], 95) == 7.0


def test_prices_are_those_of_the_infra_page() -> None:
    """The arithmetic stands on the prices, and the kilobytes, that infra/README.md names."""
    page = (ROOT / "infra" / "README.md").read_text(encoding="utf-8")
    priced = dict(re.findall(r"\b(p\d)\s[^0-9]*?(\d+\.\d+)(?=/| per| a month)", page))
    ours = {"p1": cost.ON_DEMAND, "p3": cost.ALWAYS_READY, "p4": cost.EXECUTIONS, "p5": cost.QUEUE, "p6": cost.TABLE}
    assert {name: float(priced[name]) for name in ours} == ours
    assert float(priced["p7"]) == cost.LOGS
    assert re.search(rf"\| {TELEMETRY_KB} GB . p7 \|", page)


def test_cost_follows_the_counts() -> None:
    """Twice the table operations cost twice as much; the total is the sum of its parts."""
    once = {one.what: one.ours for one in cost.measures(PerEvent(1, 0, 4, 1), PerEvent(2, 1, 0, 0))}
    twice = {one.what: one.ours for one in cost.measures(PerEvent(1, 0, 8, 1), PerEvent(2, 1, 0, 0))}
    assert twice["tables"] == pytest.approx(2 * once["tables"])
    assert twice["queue"] == once["queue"] == pytest.approx(1.2)
    parts = ("functions, one event at a time", "queue", "tables", "telemetry")
    assert once["together, one at a time"] == pytest.approx(sum(once[part] for part in parts))
