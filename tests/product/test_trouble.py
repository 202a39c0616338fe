"""When something breaks: what may pass is tried again, what will not becomes a dead letter, and nothing is lost."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiohttp import web

from sandbox.azurite import StorageNames, connection_string
from sandbox.dataverse.faults import Fault, FaultPlan
from sandbox.dataverse.plugins import Plugin
from sandbox.gate import Gate, How
from sandbox.outreach.deliveries import MeetingScript
from shared.errors import BadDelivery, Transient
from shared.pipeline.held import BOUNDS, Held
from shared.pipeline.signature import sign
from shared.runtime import new_trace
from shared.storage.dead_letters import DeadLetter
from tests.product.bench import SECRET, Installation, installation, served


def trouble(product: Installation, *kinds: str, **options: Any) -> None:
    """The next calls to Dataverse meet these faults, one each."""
    plan = FaultPlan()
    plan.queue.extend(Fault.parse(kind, retry_after=options.get("retry_after", 0), hold_seconds=0.1) for kind in kinds)
    product.crm.faults = plan


@pytest.mark.parametrize("kind", ["429", "503", "drop_before", "drop_after"])
async def test_passing_trouble_is_tried_again(product: Installation, kind: str) -> None:
    """Throttling, an outage or a broken connection puts the event back; next time it gets through, once."""
    trouble(product, kind)
    (receipt,) = await product.send(MeetingScript(1).booked())
    await product.work(limit=1)
    entry = await product.journal(receipt)
    assert entry["outcome"] == "retrying"
    assert entry["nextAttemptAt"] > entry["finishedAt"]
    await product.work()
    assert (await product.journal(receipt))["outcome"] in {"created", "updated"}
    assert len(product.crm.appointments) == 1
    assert await product.dead_letters() == []


async def test_delays_grow(product: Installation) -> None:
    """Each further attempt waits longer."""
    product.crm.faults = FaultPlan(rate=1.0, faults=(Fault.parse("drop_before", retry_after=0, hold_seconds=0),))
    await product.send(MeetingScript(1).booked())
    await product.work(limit=4)
    delays = product.runtime.queue.delays[1:]
    assert delays == sorted(delays)
    assert 2 <= delays[0] <= 4


async def test_an_outage_costs_few_calls(product: Installation) -> None:
    """After five failures in a row nobody calls for a while, however many events wait, and none waits as an attempt."""
    product.crm.faults = FaultPlan(rate=1.0, faults=(Fault.parse("drop_before", retry_after=0, hold_seconds=0),))
    await product.send(*(MeetingScript(number).booked() for number in range(1, 6)))
    await product.work(limit=5)
    calls = product.crm.log.total
    product.runtime.sync._pause = lambda: 60.0  # as the breaker says, but longer than an event would wait for
    await product.work(limit=20)
    assert product.crm.log.total == calls
    product.runtime.later = timedelta(hours=8)
    await product.work(limit=5)
    assert min(product.runtime.queue.delays[-5:]) >= 450
    assert await product.dead_letters() == []


async def test_retry_after_pauses_the_instance(product: Installation) -> None:
    """While Dataverse asks for a pause no event calls it, and waiting does not count as an attempt."""
    trouble(product, "429", retry_after=30)
    await product.send(MeetingScript(1).booked(), MeetingScript(2).booked())
    await product.work(limit=1)
    calls = product.crm.log.total
    await product.work(limit=6)
    assert product.crm.log.total == calls
    assert min(product.runtime.queue.delays[2:]) >= 25


async def test_a_day_of_failure_ends_as_dead_letter(product: Installation) -> None:
    """After about a day the event is a dead letter with everything to replay it; until then it never is."""
    product.crm.faults = FaultPlan(rate=1.0, faults=(Fault.parse("503", retry_after=0, hold_seconds=0),))
    (receipt,) = await product.send(MeetingScript(1).booked())
    await product.work(limit=3)
    product.runtime.later = timedelta(hours=23)
    await product.work(limit=1)
    assert (await product.journal(receipt))["outcome"] == "retrying"
    product.runtime.later = timedelta(hours=25)
    await product.work(limit=1)
    assert (await product.journal(receipt))["outcome"] == "dead-lettered"
    assert await product.work(limit=1) == 0


async def test_permanent_trouble_is_a_dead_letter_at_once(product: Installation) -> None:
    """A plug-in that says no to everything: the reason in words, the code, the request id; replay after the mending."""
    product.crm.plugins.registered.append(Plugin(message="No."))
    entry = await product.sync(MeetingScript(1).booked())
    assert entry["outcome"] == "dead-lettered"
    (dead_letter,) = await product.dead_letters()
    assert dead_letter["meetingId"] == "meeting:1"
    assert dead_letter["dataverseRequestId"]
    assert dead_letter["code"].startswith("0x")
    assert dead_letter["attempts"] == 1
    shown = await product.meeting("1")
    assert shown is not None
    assert shown["state"] == "needs attention"
    assert shown["lastError"]["code"] == dead_letter["code"]

    product.crm.plugins.registered.clear()
    assert await product.runtime.admin.replay(None, by="_master") == [dead_letter["correlationId"]]
    await product.work()
    assert len(product.crm.appointments) == 1
    assert await product.dead_letters() == []


async def test_a_later_good_event_clears_the_dead_letter(product: Installation) -> None:
    """What a failed event said goes out with the next good one of its meeting, and its dead letter goes."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    product.crm.plugins.registered.append(Plugin(message="No."))
    entry = await product.sync(script.changed(title="New title"))
    assert (entry["outcome"], entry["lastError"]["code"]) == ("dead-lettered", "0x80040265")
    product.crm.plugins.registered.clear()
    await product.sync(script.changed(endTime="2026-03-02T16:00:00Z"))
    assert product.appointment.values["subject"] == "New title"
    assert await product.dead_letters() == []
    assert ((await product.meeting("1")) or {})["state"] == "in Dynamics"


async def test_clearing_leaves_what_failed_meanwhile(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good event takes away no dead letter of an event that came after it was written: nobody has done that yet."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    product.crm.plugins.registered.append(Plugin("subject", value="Refused", message="No."))
    await product.sync(script.changed(title="Refused"))
    dead_letters_of = product.runtime.dead_letters.of_meetings
    good = script.changed(title="Taken")
    later = [script.changed(title="Refused", location="Said meanwhile")]

    async def late(meetings: Collection[str]) -> list[DeadLetter]:
        if later:
            await product.sync(later.pop())
        return await dead_letters_of(meetings)

    monkeypatch.setattr(product.runtime.dead_letters, "of_meetings", late)
    await product.sync(good)
    assert ((await product.meeting("1")) or {})["state"] == "needs attention"
    assert await product.dead_letters()
    await product.sync(script.changed(title="Taken"))
    assert product.appointment.values["location"] == "Said meanwhile"
    assert await product.dead_letters() == []


@pytest.mark.parametrize("prospect", [101, 102], ids=["known people", "people to be looked up"])
async def test_a_meeting_is_found_while_dynamics_pauses(product: Installation, prospect: int) -> None:
    """Whoever asks for a meeting that waits for Dynamics is told what it waits for, whatever it waits for first."""
    await product.sync(MeetingScript(1).booked())
    product.crm.faults = FaultPlan(rate=1.0, faults=(Fault.parse("429", retry_after=600, hold_seconds=0),))
    await product.send(MeetingScript(2).booked(), MeetingScript(3).booked(prospects=[prospect]))
    await product.work(limit=2)
    for meeting in ("2", "3"):
        shown = await product.meeting(meeting)
        assert shown is not None
        assert shown["fields"]["title"]["value"] == "Intro call"
        assert "Dynamics" in shown["lastError"]["reason"]


async def test_a_wrong_value_is_a_dead_letter_not_a_refusal(product: Installation) -> None:
    """A start time that is no time is accepted, because a refusal would lose it, and told in words."""
    entry = await product.sync(MeetingScript(1).booked(startTime={"deep": ["nonsense"]}))
    assert entry["outcome"] == "dead-lettered"
    assert entry["lastError"]["reason"] == "starts_at: an ISO 8601 time was expected."


async def test_poison_becomes_a_dead_letter(product: Installation) -> None:
    """What the trigger itself gave up on, an envelope or garbage, is kept where an admin sees it."""
    await product.runtime.carry_out_poisoned(b"\xff\xfe garbage")
    await product.runtime.carry_out_poisoned(
        b'{"version":1,"correlation_id":"'
        + b"a" * 32
        + b'","received_at":"2026-01-01T00:00:00Z","meeting":"meeting:9"}'
    )
    dead_letters = await product.dead_letters()
    assert {(dead_letter["meetingId"], dead_letter["code"]) for dead_letter in dead_letters} == {
        ("unknown", "not_an_envelope"),
        ("meeting:9", "poison"),
    }


async def test_outreach_down_is_passing_trouble(azurite: str, storage_names: StorageNames) -> None:
    """Nobody can be looked up while Outreach is down: the event waits, it is not written without its people."""

    async def down(_: web.Request) -> web.Response:
        return web.Response(status=503)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", down)
    async with (
        served(app) as url,
        installation(azurite, storage_names.queue("events"), OUTREACH_API_URL=url) as product,
    ):
        await product.send(MeetingScript(1).booked())
        await product.work(limit=1)
        assert not product.crm.appointments
        assert len(product.runtime.queue.delays) == 2


async def test_broken_settings_keep_events(product: Installation) -> None:
    """With a wrong setting events are still taken in; they wait in the queue and go out when it is mended."""
    right = product.environment["DATAVERSE_URL"]
    await product.restart(DATAVERSE_URL="https://example.com", MAPPING_FILE="/nowhere/mapping.json")
    await product.send(MeetingScript(1).booked())
    await product.work(limit=2)
    report = await product.status()
    assert report["status"] == "unhealthy"
    assert "MAPPING_FILE" in report["parts"]["settings"]["reason"]
    assert "DATAVERSE_URL" in report["parts"]["settings"]["reason"]
    await product.restart(DATAVERSE_URL=right, MAPPING_FILE="")
    await product.work()
    assert len(product.crm.appointments) == 1


async def test_large_event_goes_by_the_overflow_table(product: Installation) -> None:
    """What the queue cannot take lies in a table until it is done, and then no more."""
    large = MeetingScript(1).booked(description="".join(chr(0x4E00 + n % 5000) for n in range(60_000)))
    (receipt,) = await product.send(large)
    assert receipt.way == "overflow"
    await product.work()
    assert (await product.journal(receipt))["outcome"] == "created"
    assert len(str(product.appointment.values["description"])) == 60_000
    assert await product.runtime.overflow.depth(limit=10) == 0


@pytest.mark.parametrize("poisoned", [False, True])
async def test_overflowing_event_that_cannot_be_read(product: Installation, *, poisoned: bool) -> None:
    """It is a dead letter, its row stays, and once a version of the app can read it, it is sent again."""
    await product.send(MeetingScript(1).booked(description="".join(chr(0x4E00 + n % 5000) for n in range(60_000))))
    table = product.runtime._table("spill")
    (row,) = await table.query("PartitionKey eq @spill", {"spill": "spill"}, limit=2)
    await table.put({**row, "data00": b"written by a newer version"})
    (message,) = [one async for one in product.queue.receive_messages()]
    carry_out = product.runtime.carry_out_poisoned if poisoned else product.runtime.carry_out
    await carry_out(base64.b64decode(message.content))
    await product.queue.delete_message(message)
    (dead_letter,) = await product.dead_letters()
    assert dead_letter["code"] == "unreadable"
    await table.put(row)
    await product.runtime.admin.replay(None, by="_master")
    await product.work()
    assert len(product.crm.appointments) == 1
    assert await product.runtime.overflow.depth(limit=10) == 0


async def test_queue_down_goes_by_the_overflow_table(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the queue down the event goes to the table, and the sweep brings it in when the queue is back."""

    async def down(_: str, **__: float) -> None:
        raise Transient("The queue is down.", service="storage")

    with monkeypatch.context() as broken:
        broken.setattr(product.runtime.queue, "send", down)
        (receipt,) = await product.send(MeetingScript(1).booked())
    assert receipt.way == "overflow"
    assert await product.work() == 0
    product.runtime.later = timedelta(minutes=1)
    assert (await product.runtime.sweep.run()).sent("overflow") == 1
    assert (await product.runtime.sweep.run()).sent("overflow") == 0
    await product.work()
    assert len(product.crm.appointments) == 1


@pytest.mark.in_time
@pytest.mark.parametrize("how", ["hangs", "refuses", "busy"])
async def test_storage_away_is_waited_for(azurite: str, storage_names: StorageNames, how: How) -> None:
    """While storage is away there is no answer, even to who asks again; once it is back both are answered yes."""
    with ExitStack() as open_:
        ports = [endpoint.rpartition(":")[2].partition("/")[0] for endpoint in re.findall(r"Endpoint=([^;]+)", azurite)]
        gates = [open_.enter_context(Gate(partial(int, port))) for port in ports]
        storage = connection_string(*(gate.port for gate in gates))
        async with installation(azurite, storage_names.queue("events")) as product:
            await product.restart(AzureWebJobsStorage=storage)
            patient = replace(BOUNDS, copy_seconds=BOUNDS.seconds)  # however slow this machine is
            product.runtime.held = Held(now=lambda: datetime.now(UTC), bounds=patient)
            script = MeetingScript(1)
            await product.send(script.booked())  # connections are there when the trouble begins
            for gate in gates:
                gate.shut(how)
            moved = script.changed(title="Moved")
            first = asyncio.create_task(product.send(moved))
            while not product.runtime.held._calls:
                assert not first.done()
                await asyncio.sleep(0.05)
            copy = asyncio.create_task(product.send(moved))
            other = {"data": {"type": "prospect", "id": 3}, "meta": {"eventName": "prospect.updated"}}
            assert (await product.send(other))[0].status == "ignored"
            assert [call.done() for call in (first, copy)] == [False, False]
            for gate in gates:
                gate.open()
            (receipt,), (same,) = await first, await copy
            assert receipt.way in {"queue", "overflow"}
            assert (same.way, same.correlation_id) == ("copy", receipt.correlation_id)
            product.runtime.later = timedelta(minutes=1)
            await product.runtime.sweep.run()  # what the queue was too slow for
            await product.work()
            assert product.appointment.values["subject"] == "Moved"


async def test_wrong_signature_is_refused(product: Installation) -> None:
    """A delivery without a right signature leaves no trace."""
    body = MeetingScript(1).booked().body
    for signature in (None, "", "0" * 64, sign(body, "another secret"), sign(body, SECRET).upper()):
        headers = {} if signature is None else {"outreach-webhook-signature": signature}
        with pytest.raises(BadDelivery) as refused:
            await product.runtime.ingest.receive(body, headers=headers, trace=new_trace())
        assert refused.value.status == 401
    assert await product.work() == 0


async def test_previous_secret_counts_while_rotating(product: Installation) -> None:
    """After a change of the secret deliveries signed with the one before are still accepted."""
    await product.restart(OUTREACH_WEBHOOK_SECRET="a-new-long-secret", OUTREACH_WEBHOOK_SECRET_PREVIOUS=SECRET)
    assert (await product.send(MeetingScript(1).booked()))[0].status == "accepted"


@pytest.mark.parametrize("name", ["OUTREACH_WEBHOOK_SECRET", "OUTREACH_WEBHOOK_SECRET_PREVIOUS"])
async def test_a_secret_that_is_not_known_yet_takes_nothing_from_the_other(product: Installation, name: str) -> None:
    """While Azure cannot resolve one of the two, deliveries signed with the other one are carried out."""
    other = {"OUTREACH_WEBHOOK_SECRET": SECRET, "OUTREACH_WEBHOOK_SECRET_PREVIOUS": SECRET}
    await product.restart(**other | {name: "@microsoft.keyvault(VaultName=contoso;SecretName=one)"})
    entry = await product.sync(MeetingScript(1).booked())
    assert entry["outcome"] == "created"
    report = await product.status()
    assert f"{name} is a Key Vault reference" in report["parts"]["settings"]["reason"]


@pytest.mark.parametrize("secret", ["@microsoft.keyvault(VaultName=contoso;SecretName=one)", "fifteen letters"])
async def test_what_anybody_could_guess_lets_nobody_in(product: Installation, secret: str) -> None:
    """A delivery signed with the text of a reference, or with a short secret, waits for a secret that fits it."""
    await product.restart(OUTREACH_WEBHOOK_SECRET=secret)
    body = MeetingScript(1).booked().body
    headers = {"outreach-webhook-signature": sign(body, secret)}
    receipt = await product.runtime.ingest.receive(body, headers=headers, trace=new_trace())
    assert receipt.way == "unverified"
    await product.runtime.judge.run()
    assert await product.work() == 0


async def test_other_resources_are_ignored(product: Installation) -> None:
    """A delivery about something else is answered and not stored."""
    delivery = {"data": {"type": "prospect", "id": 3}, "meta": {"eventName": "prospect.updated"}}
    assert (await product.send(delivery))[0].status == "ignored"
    assert await product.work() == 0
