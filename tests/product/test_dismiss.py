"""Dead letters that can never succeed are dismissed: they go, and the journal keeps that and why."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.requests import read_dismissal
from sandbox.dataverse.plugins import Plugin
from sandbox.outreach.deliveries import MeetingScript, Target
from shared.admin.admin import MAX_REASON
from shared.errors import BadDelivery, Transient
from shared.meeting.dead_letters import LEFT_IN_DOUBT_ADVICE
from shared.storage import dead_letters, overflow
from shared.storage.account import Entity
from tests.console.test_access import signed_in
from tests.product.bench import Installation

WHY = "The meeting was deleted."


async def dismiss(product: Installation, *correlation_ids: str) -> list[str]:
    return await product.runtime.admin.dismiss(frozenset(correlation_ids), reason=WHY, by="_master")


async def meeting(product: Installation, number: int = 1) -> dict[str, Any]:
    shown = await product.meeting(str(number))
    assert shown is not None
    return shown


async def outcome(product: Installation, correlation_id: str) -> str:
    entry = await product.correlation(correlation_id)
    assert entry is not None
    return str(entry["outcome"])


async def rows_of(product: Installation, table: str) -> list[Entity]:
    return await product.runtime._table(table).query("PartitionKey ne @none", {"none": ""}, limit=100)


async def test_the_journal_says_what_became_of_it(product: Installation) -> None:
    """Dismissed and why, beside why it failed and when it was changed; it is in no list and not sent again."""
    failed = await product.sync(MeetingScript(1).booked(startTime="nonsense"))
    assert await dismiss(product, failed["correlationId"]) == [failed["correlationId"]]
    entry = await product.correlation(failed["correlationId"])
    assert entry is not None
    assert entry["finishedAt"] > failed["finishedAt"]
    changed = {"outcome": "dismissed", "dismissedBecause": WHY, "by": "_master", "finishedAt": entry["finishedAt"]}
    assert entry == failed | changed
    assert await product.dead_letters() == []
    assert await product.runtime.admin.replay(None, by="_master") == []


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [({}, LEFT_IN_DOUBT_ADVICE), ({"startTime": "nonsense"}, None)],
    ids=["refused: the columns stay in doubt", "not read"],
)
async def test_its_meeting_needs_nobody_any_more(
    product: Installation, wrong: dict[str, Any], advice: str | None
) -> None:
    """Whether it could be remembered or not, its meeting's time line has it once, as dismissed, and what to do."""
    product.crm.plugins.registered.append(Plugin(message="No."))
    failed = await product.sync(MeetingScript(1).booked(**wrong))
    assert (await meeting(product))["state"] == "needs attention"
    await dismiss(product, failed["correlationId"])
    shown = await meeting(product)
    assert (shown["state"], shown["lastError"], shown["leftInDoubt"]) == ("remembered", None, advice)
    (event,) = shown["recent"]
    assert (event["correlationId"], event["outcome"]) == (failed["correlationId"], "dismissed")


async def test_what_is_left_in_doubt_is_written_on_request(product: Installation) -> None:
    """The meeting's page says so, and when that is done says so no more."""
    product.crm.plugins.registered.append(Plugin(message="No."))
    failed = await product.sync(MeetingScript(1).booked())
    await dismiss(product, failed["correlationId"])
    page = replace(await signed_in(product), page="meeting", query={"id": "1"})
    assert LEFT_IN_DOUBT_ADVICE in (await product.runtime.console.show(page)).html
    product.crm.plugins.registered.clear()
    assert await product.runtime.admin.write("1", by="_master")
    await product.work()
    shown = await meeting(product)
    assert (shown["state"], shown["columnsInDoubt"], shown["leftInDoubt"]) == ("in Dynamics", [], None)
    assert LEFT_IN_DOUBT_ADVICE not in (await product.runtime.console.show(page)).html


async def test_it_stands_in_the_time_line_of_the_meeting_it_turned_out_to_be_of(product: Installation) -> None:
    """A dead letter of a calendar event whose meeting was named later."""
    script = MeetingScript(17, resource="calendarEvent")
    failed = await product.sync(script.booked(startTime="nonsense"))
    await product.sync(script.changed(relationships={"meeting": Target("meeting", 1)}))
    await dismiss(product, failed["correlationId"])
    assert "dismissed" in [event["outcome"] for event in (await meeting(product))["recent"]]


async def test_only_what_was_named_goes(product: Installation) -> None:
    """A meeting with another dead letter still needs somebody; an id that is none of them changes nothing."""
    script = MeetingScript(1)
    first, second = [await product.sync(script.booked(startTime=wrong)) for wrong in ("nonsense", "more nonsense")]
    assert await dismiss(product, first["correlationId"], "0" * 32) == [first["correlationId"]]
    (left,) = await product.dead_letters()
    assert left["correlationId"] == second["correlationId"]
    assert (await meeting(product))["state"] == "needs attention"
    assert await outcome(product, second["correlationId"]) == "dead-lettered"


async def test_one_behind_the_first_page_goes(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead letter is found wherever it lies."""
    monkeypatch.setattr(dead_letters, "PAGE_SIZE", 2)
    for number in range(1, 6):
        failed = await product.sync(MeetingScript(number).booked(startTime="nonsense"))
    assert await dismiss(product, failed["correlationId"]) == [failed["correlationId"]]
    assert len(await product.dead_letters()) == 4


async def test_a_later_event_of_the_meeting_goes_its_way(product: Installation) -> None:
    """What a dismissed event said is remembered as far as it was; the next good event is carried out as any other."""
    script = MeetingScript(1)
    product.crm.plugins.registered.append(Plugin(message="No."))
    failed = await product.sync(script.booked(title="Said by the dismissed"))
    product.crm.plugins.registered.clear()
    await dismiss(product, failed["correlationId"])
    entry = await product.sync(script.changed(endTime="2026-03-02T16:00:00Z"))
    assert entry["outcome"] == "created"
    assert product.appointment.values["subject"] == "Said by the dismissed"
    shown = await meeting(product)
    assert shown["state"] == "in Dynamics"
    assert [event["outcome"] for event in shown["recent"]] == ["created", "dismissed"]


async def test_a_message_that_is_none_of_ours(product: Installation) -> None:
    """It has no meeting and had no journal; now it has one, which says what it was and why it went."""
    await product.runtime.carry_out(b"not ours")
    (dead_letter,) = await product.dead_letters()
    assert await dismiss(product, dead_letter["correlationId"]) == [dead_letter["correlationId"]]
    entry = await product.correlation(dead_letter["correlationId"])
    assert entry is not None
    assert (entry["outcome"], entry["dismissedBecause"], entry["meetingId"]) == ("dismissed", WHY, "")
    assert entry["lastError"] == {"code": "not_an_envelope", "reason": dead_letter["reason"]}
    assert await product.dead_letters() == []


async def test_a_letter_that_nothing_can_read(product: Installation) -> None:
    """Its event's journal is found all the same, although what was kept of the event is damaged."""
    failed = await product.sync(MeetingScript(1).booked(startTime="nonsense"))
    (row,) = await rows_of(product, dead_letters.TABLE)
    await product.runtime._table(dead_letters.TABLE).put({**row, "data00": b"written by a newer version"})
    await dismiss(product, failed["correlationId"])
    entry = await product.correlation(failed["correlationId"])
    assert entry == failed | {name: (entry or {})[name] for name in ("outcome", "dismissedBecause", "by", "finishedAt")}
    assert await product.dead_letters() == []


async def test_an_event_in_the_overflow_table_that_nothing_can_read(product: Installation) -> None:
    """It goes from there as well; else the sweep would make the dead letter anew every day."""
    await product.send(MeetingScript(1).booked(description="ab" * 60_000))
    (row,) = await rows_of(product, overflow.TABLE)
    await product.runtime._table(overflow.TABLE).put({**row, "data00": b"written by a newer version"})
    await product.work()
    (dead_letter,) = await product.dead_letters()
    assert await dismiss(product, dead_letter["correlationId"]) == [dead_letter["correlationId"]]
    product.runtime.later = timedelta(days=3)
    await product.runtime.sweep.run()
    assert await product.work() == 0
    assert await rows_of(product, overflow.TABLE) == []
    assert await product.dead_letters() == []


async def test_a_letter_of_an_older_version(product: Installation) -> None:
    """One that was written before dead letters had the event's id beside it can be dismissed too."""
    failed = await product.sync(MeetingScript(1).booked(startTime="nonsense"))
    (row,) = await rows_of(product, dead_letters.TABLE)
    older = {name: value for name, value in row.items() if name not in {"event_id", "received_at", "spill_key"}}
    await product.runtime._table(dead_letters.TABLE).put(older)
    assert await dismiss(product, failed["correlationId"]) == [failed["correlationId"]]
    assert await outcome(product, failed["correlationId"]) == "dismissed"
    assert await product.dead_letters() == []


async def test_a_crash_in_between_leaves_the_letter(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is first, so nothing goes untold; to dismiss it again ends what was begun."""
    failed = await product.sync(MeetingScript(1).booked(startTime="nonsense"))

    async def away(_: Entity) -> bool:
        raise Transient("Azure Storage cannot be reached.", service="storage")

    with monkeypatch.context() as broken:
        broken.setattr(product.runtime.dead_letters, "remove", away)
        with pytest.raises(Transient):
            await dismiss(product, failed["correlationId"])
    assert await outcome(product, failed["correlationId"]) == "dismissed"
    assert len(await product.dead_letters()) == 1
    assert await dismiss(product, failed["correlationId"]) == [failed["correlationId"]]
    assert len((await meeting(product))["recent"]) == 1


async def test_what_fails_again_meanwhile_stays(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was written anew while the old one was being dismissed is a failure that nobody has seen."""
    failed = await product.sync(MeetingScript(1).booked(startTime="nonsense"))
    write = product.runtime.journal.dismiss

    async def late(*given: Any) -> bool:
        await product.runtime.admin.replay(None, by="_master")
        await product.work()
        return await write(*given)

    monkeypatch.setattr(product.runtime.journal, "dismiss", late)
    assert await dismiss(product, failed["correlationId"]) == []
    assert len(await product.dead_letters()) == 1
    assert (await meeting(product))["state"] == "needs attention"


async def test_what_was_carried_out_after_all_is_not_said_to_be_dismissed(product: Installation) -> None:
    """A replay that stopped between sending and forgetting leaves one of an event that is done: only that goes."""
    script = MeetingScript(1)
    product.crm.switches.missing_privileges = frozenset({"prvCreateActivity"})
    failed = await product.sync(script.booked())
    (row,) = await rows_of(product, dead_letters.TABLE)
    product.crm.switches.missing_privileges = frozenset()
    await product.runtime.admin.replay(None, by="_master")
    await product.work()
    await product.runtime._table(dead_letters.TABLE).put(row)
    assert await outcome(product, failed["correlationId"]) == "created"
    assert await dismiss(product, failed["correlationId"]) == [failed["correlationId"]]
    assert await outcome(product, failed["correlationId"]) == "created"
    assert [event["outcome"] for event in (await meeting(product))["recent"]] == ["created"]


async def test_while_its_meeting_is_being_written_a_letter_stays(
    product: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not counted as gone, and can be dismissed a moment later; the event that was quicker loses nothing."""
    script = MeetingScript(1)
    failed = await product.sync(script.booked(startTime="nonsense"))
    load = product.runtime.meetings.load
    quicker = [script.booked(title="Quicker")]

    async def late(key: Any) -> Any:
        loaded = await load(key)
        if quicker:
            await product.sync(quicker.pop())
        return loaded

    monkeypatch.setattr(product.runtime.meetings, "load", late)
    assert await dismiss(product, failed["correlationId"]) == []
    assert len(await product.dead_letters()) == 1
    assert await dismiss(product, failed["correlationId"]) == [failed["correlationId"]]
    assert product.appointment.values["subject"] == "Quicker"
    assert (await meeting(product))["state"] == "in Dynamics"


async def test_its_journal_ages_as_any_other(product: Installation) -> None:
    """From the day on which it was dismissed."""
    failed = await product.sync(MeetingScript(1).booked(startTime="nonsense"))
    product.runtime.later = timedelta(days=80)
    await dismiss(product, failed["correlationId"])
    for days, there in ((160, True), (180, False)):
        product.runtime.later = timedelta(days=days)
        await product.runtime.sweep.run()
        assert (await product.correlation(failed["correlationId"]) is not None) is there


async def test_one_line_tells_of_it_without_the_reason(product: Installation, caplog: pytest.LogCaptureFixture) -> None:
    """What somebody writes may name people: it stands in the journal alone."""
    failed = await product.sync(MeetingScript(1).booked(startTime="nonsense"))
    caplog.set_level("INFO", "outreach_dynamics")
    await dismiss(product, failed["correlationId"])
    (logged,) = [json.loads(record.getMessage()) for record in caplog.records]
    assert logged == {
        "what": "dismissed",
        "correlation_id": failed["correlationId"],
        "event": "meeting.created",
        "meeting": "meeting:1",
        "code": "wrong_type",
        "by": "_master",
    }


def test_what_is_to_be_dismissed_is_named_with_a_reason() -> None:
    """Ids may be written as a GUID, and the reason on several lines."""
    body = {"correlationIds": ["00000000-0000-0000-0000-00000000000A"], "reason": " Deleted\n in Outreach. "}
    assert read_dismissal(json.dumps(body).encode()) == (frozenset({"0" * 31 + "a"}), "Deleted in Outreach.")
    longest = {"correlationIds": ["a"], "reason": "ü" * MAX_REASON}
    assert read_dismissal(json.dumps(longest).encode())[1] == "ü" * MAX_REASON


@pytest.mark.parametrize(
    "change",
    [
        {"all": True},
        {"correlationIds": []},
        {"correlationIds": None},
        {"correlationIds": "a"},
        {"correlationIds": [5]},
        {"correlationIds": ["a"] * 1001},
        {"reason": None},
        {"reason": ""},
        {"reason": " \n\t "},
        {"reason": 5},
        {"reason": "x" * (MAX_REASON + 1)},
        {"reason": "a\x00b"},
        {"reason": "a\x1b[31mb"},
        {"reason": "\ud800"},
    ],
    ids=lambda change: str(change)[:40],
)
def test_anything_else_dismisses_nothing(change: dict[str, Any]) -> None:
    """There is no `all`, and none goes without a reason in words."""
    wanted = {"correlationIds": ["a"], "reason": WHY} | change
    with pytest.raises(BadDelivery):
        read_dismissal(json.dumps(wanted).encode())
