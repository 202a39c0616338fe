"""What earlier versions of the app have stored is read for ever, and what a newer one has stored is left alone."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import StorageNames
from sandbox.dataverse.errors import PLUGIN_REFUSED
from sandbox.outreach.deliveries import MeetingScript
from shared.admin.admin import BY_KEY
from shared.meeting.appointment import fingerprint
from shared.meeting.identity import MeetingKey, table_key
from shared.meeting.meeting import Meeting
from shared.meeting.status import Status
from shared.storage import dead_letters, journal
from shared.storage.account import Entity
from shared.storage.documents import pack, unpack
from shared.storage.envelope import Envelope
from shared.storage.layout import NewerLayout
from shared.storage.meetings import from_document, to_document
from tests.outreach.samples import mapping_file, task
from tests.product.bench import Installation, installation

FILES = sorted((Path(__file__).parent / "layouts").glob("version_*.json"))
STORED: dict[int, Any] = {
    int(path.stem.removeprefix("version_")): json.loads(path.read_text(encoding="utf-8")) for path in FILES
}

# Later than all that the files say happened.
LATER = datetime(2026, 1, 1, tzinfo=UTC)

# How the meetings of each file stand; see `layouts/write.py` for what happened to them.
STATUS = {
    **dict.fromkeys(("meeting:1", "meeting:2", "meeting:15", "calendarEvent:17", "meeting:20"), Status.IN_DYNAMICS),
    **dict.fromkeys(("meeting:3", "meeting:4", "meeting:6"), Status.BEING_WRITTEN),
    **dict.fromkeys(("meeting:5", "meeting:12"), Status.REMEMBERED),
    **dict.fromkeys(("meeting:8", "meeting:13", "meeting:14", "meeting:16", "meeting:21"), Status.PARKED),
    **dict.fromkeys(("meeting:9", "meeting:10"), Status.DEAD_LETTER),
    "meeting:11": Status.DELETED_IN_DYNAMICS,
}

# From this version of a meeting's row on, columns that Dynamics refused are remembered.
REFUSALS = 4


def entity_of(row: dict[str, Any]) -> Entity:
    """A row as a table has it."""
    return {name: base64.b64decode(one["base64"]) if isinstance(one, dict) else one for name, one in row.items()}


def documents(version: int) -> dict[str, dict[str, Any]]:
    """What lies in the rows of meetings, by their keys."""
    rows = map(entity_of, STORED[version]["tables"]["meetings"])
    return {row["meeting"]: unpack(row) for row in rows if "data00" in row}


ROWS = [(version, key) for version in STORED for key in documents(version)]


@pytest.fixture(params=STORED)
async def product(
    request: pytest.FixtureRequest, azurite: str, storage_names: StorageNames, tmp_path: Path
) -> AsyncIterator[Installation]:
    """An installation in which an earlier version has stored one of everything. Nothing of it is in its Dynamics."""
    settings = {"MAPPING_FILE": mapping_file(tmp_path, "task")}
    async with installation(azurite, storage_names.queue("events"), **settings) as made:
        for name, rows in STORED[request.param]["tables"].items():
            for row in rows:
                await made.runtime._table(name).put(entity_of(row))
        for message in STORED[request.param]["queue"]:
            await made.queue.send_message(message)
        yield made


async def test_a_meeting_stands_as_it_stood(product: Installation) -> None:
    """Whatever had become of it: written, in doubt, parked, linked, deleted, or in need of a person."""
    assert {key: (await product.meeting(key))["status"] for key in STATUS} == STATUS


async def test_everything_that_waits_is_carried_out(product: Installation) -> None:
    """Messages, events in the overflow table and dead letters of an earlier version end as its own would have."""
    await product.work()
    dead_letters = {dead_letter["meetingId"] for dead_letter in await product.dead_letters()}
    assert dead_letters == {"meeting:9", "meeting:10", "unknown"}
    for number in (3, 4, 5, 6, 7, 11, 16):
        shown = await product.meeting(str(number))
        assert (shown["status"], shown["columnsInDoubt"]) == (Status.IN_DYNAMICS, [])
        # Of meeting 16 only the second appointment was left to be canceled: nobody looks for its own.
        assert number == 16 or shown["appointmentId"] in product.crm.appointments
    assert (await product.meeting("14"))["status"] == Status.PARKED


async def test_a_meeting_goes_on(product: Installation) -> None:
    """The next event of a meeting of an earlier version brings all of it into Dynamics."""
    for number in (1, 2, 3, 4, 6, 9, 11, 12, 15, 16, 20, 21):
        script = MeetingScript(number, now=LATER)
        entry = await product.sync(script.changed(endTime="2199-01-01T00:00:00Z", title="Goes on"))
        if number == 12:  # nothing of it was remembered
            assert entry["outcome"] == "parked"
            continue
        shown = await product.meeting(str(number))
        assert (number, shown["status"]) == (number, Status.IN_DYNAMICS)
        assert product.crm.appointments[shown["appointmentId"]].values["subject"] == "Goes on"


async def test_dead_letters_are_listed_sent_again_and_dismissed(product: Installation) -> None:
    """Dead letters of an earlier version have everything that is needed for it."""
    dead_letters = {dead_letter["meetingId"]: dead_letter for dead_letter in await product.dead_letters()}
    assert dead_letters["meeting:9"]["code"] in {"end_before_start", PLUGIN_REFUSED}
    admin = product.runtime.admin
    wanted = dead_letters["meeting:10"]["correlationId"]
    assert await admin.replay(frozenset({wanted}), by=BY_KEY) == [wanted]
    gone = dead_letters["meeting:9"]["correlationId"]
    assert await admin.dismiss(frozenset({gone}), reason="Seen.", by=BY_KEY) == [gone]
    await product.work()
    left = {dead_letter["meetingId"]: dead_letter for dead_letter in await product.dead_letters()}
    assert left.keys() == {"meeting:10", "unknown"}
    assert left["meeting:10"]["lastFailedAt"] > dead_letters["meeting:10"]["lastFailedAt"]


@pytest.mark.parametrize("version", [version for version in STORED if version >= REFUSALS])
def test_a_column_that_was_refused_is_remembered(version: int) -> None:
    """With its value, code, reason, and the mapping that it was refused under."""
    refused = from_document(documents(version)["meeting:22"]).mirror.refused
    assert list(refused) == ["location"]
    assert (refused["location"].value, refused["location"].code) == (fingerprint("Room 22"), PLUGIN_REFUSED)
    assert refused["location"].reason
    assert refused["location"].mapping


async def test_every_event_has_its_journal(product: Installation, request: pytest.FixtureRequest) -> None:
    """The journal of an earlier version says what it said."""
    version = request.node.callspec.params["product"]
    for row in STORED[version]["tables"]["correlations"]:
        found = await product.correlation(row["correlation_id"])
        assert found is not None
        assert (found["outcome"], found["meetingId"]) == (row["outcome"], row["meeting"])


async def test_the_sweep_goes_on(product: Installation) -> None:
    """What an earlier version had remembered for the timer, it does."""
    await product.work()
    counts = (await product.runtime.backlog.measure()).parked
    await product.runtime.sweep.run()
    assert await product.work()
    assert (await product.runtime.backlog.measure()).parked <= counts


async def test_a_task_that_an_earlier_version_lost_sight_of(product: Installation) -> None:
    """A meeting that did not know a task which led to it along a calendar event knows it with the task's next event."""
    entry = await product.sync(task(2, "completed"))
    assert entry["meetingId"] == "meeting:20"
    found = await product.runtime.meetings.load(MeetingKey("meeting", "20"))
    assert found.meeting is not None
    assert found.meeting.aliases.known == {MeetingKey("task", "2"), MeetingKey("calendarEvent", "19")}


@pytest.mark.parametrize(("version", "key"), ROWS)
def test_nothing_in_a_row_is_lost(version: int, key: str) -> None:
    """What was read is stored again with every member and every value that it had."""
    document = documents(version)[key]
    again = json.loads(json.dumps(to_document(from_document(document))))
    assert {name: again[name] for name in document} == {**document, **({"version": 5} if "version" in document else {})}


@pytest.mark.parametrize("member", documents(1)["meeting:6"])
def test_a_row_from_before_a_member_existed_is_read(member: str) -> None:
    """Of the first layout there are several: an absent member has what a meeting has without it."""
    document = documents(1)["meeting:6"]
    del document[member]
    again = to_document(from_document(document))
    assert again[member] == to_document(Meeting())[member]
    assert from_document({}) == Meeting()


def test_a_layout_that_changes_has_a_new_version() -> None:
    """An app of the same version loses a member that it does not know, so whoever adds one gives it a new version."""
    meeting = {
        *("version", "fields", "appointment_id", "applied", "doubt", "crm_version", "closed_as", "parties", "parked"),
        *("gone", "moved_to", "copies", "spare", "unsettled", "recent", "open_as", "made_of", "invited", "refused"),
        *("taken_over", "filling"),
    }
    assert (to_document(Meeting())["version"], set(to_document(Meeting()))) == (5, meeting)
    envelope = {
        *("kind", "correlation_id", "traceparent", "event_id", "event_name", "received_at", "attempt", "by"),
        *("first_failed_at", "meeting", "spill_key", "body", "again"),
    }
    stored = Envelope(correlation_id="a" * 32, received_at="2026-03-02T12:00:00.000000Z")
    assert (stored.to_document()["version"], set(Envelope.model_fields)) == (2, envelope)


def newer(row: Entity, document: dict[str, Any]) -> Entity:
    """The row as a version of the app far ahead of this one may have written it."""
    return {**row, **pack({**document, "version": 99, "something": "new"})}


async def test_a_meeting_of_a_newer_version_waits(product: Installation) -> None:
    """After a roll-back its events wait, with the reason, and its row stays as it is; then they are carried out."""
    await product.work()
    table, name = product.runtime._table("meetings"), table_key("meeting:1")
    found = await table.get(name, name)
    assert found is not None
    await table.put(newer(found[0], unpack(found[0])))
    (receipt,) = await product.send(MeetingScript(1, now=LATER).changed(title="Waits"))
    await product.work(limit=2)
    entry = await product.journal(receipt)
    assert (entry["outcome"], entry["lastError"]["code"]) == ("retrying", "newer_version")
    kept = await table.get(name, name)
    assert kept is not None
    assert unpack(kept[0])["something"] == "new"
    with pytest.raises(NewerLayout):
        await product.meeting("1")
    await table.put(found[0])
    await product.work()
    assert (await product.journal(receipt))["outcome"] in {"created", "updated"}


async def test_a_failed_event_of_a_newer_version_s_meeting_is_a_dead_letter(product: Installation) -> None:
    """What will never pass is reported all the same, though the meeting's row cannot be told of it."""
    await product.work()
    table, name = product.runtime._table("meetings"), table_key("meeting:1")
    found = await table.get(name, name)
    assert found is not None
    await table.put(newer(found[0], unpack(found[0])))
    entry = await product.sync(MeetingScript(1).changed(startTime="nonsense"))
    assert entry["outcome"] == "dead-lettered"
    assert entry["correlationId"] in {dead_letter["correlationId"] for dead_letter in await product.dead_letters()}


async def test_a_message_of_a_newer_version_waits(product: Installation) -> None:
    """It goes back as it came, for the newer app to find, whether it was to be carried out or recorded as poison."""
    await product.work()
    message = json.dumps({"version": 99, "kind": "unheard of", "event": {"id": 1}}).encode()
    for give in (product.runtime.carry_out, product.runtime.carry_out_poisoned):
        await give(message)
        (back,) = [one async for one in product.queue.receive_messages()]
        assert base64.b64decode(back.content) == message
        assert product.runtime.queue.delays[-1] >= 60
        await product.queue.delete_message(back)
    assert len(await product.dead_letters()) == 3


async def test_an_event_in_the_overflow_table_of_a_newer_version_waits(product: Installation) -> None:
    """The pointer to it goes back, and the row stays."""
    table = product.runtime._table("spill")
    (row,) = await table.query("PartitionKey eq @spill", {"spill": "spill"}, limit=2)
    await table.put(newer({"PartitionKey": "spill", "RowKey": row["RowKey"], "pointed": ""}, unpack(row)))
    await product.work(limit=20)
    found = await product.correlation(row["RowKey"].rpartition("-")[2])
    assert found is not None
    assert (found["outcome"], found["lastError"]["code"]) == ("retrying", "newer_version")
    assert await product.runtime.overflow.depth(limit=10) == 1


async def test_what_a_newer_version_says_beside_is_shown_and_kept(product: Installation) -> None:
    """Journal rows and dead letters with members that nobody here knows are read, and dismissing loses none of them."""
    dead_letters = product.runtime._table("deadletters")
    for row in await dead_letters.query("PartitionKey ne @none", {"none": ""}, limit=10):
        await dead_letters.put({**row, "advice": "Look."})
    assert len(await product.dead_letters()) == 3
    dead_letter = next(one for one in await product.dead_letters() if one["meetingId"] == "meeting:9")
    entries = product.runtime._table("correlations")
    (row,) = await entries.query("PartitionKey eq @id", {"id": dead_letter["correlationId"]}, limit=2)
    await entries.put({**row, "advice": "Look."})
    await product.runtime.admin.dismiss(frozenset({dead_letter["correlationId"]}), reason="Seen.", by=BY_KEY)
    (row,) = await entries.query("PartitionKey eq @id", {"id": dead_letter["correlationId"]}, limit=2)
    assert (row["outcome"], row["advice"]) == ("dismissed", "Look.")


def test_rows_that_are_only_shown_have_a_version_too() -> None:
    """Whoever adds a member to a journal row or to a dead letter does so here; older rows have its default."""
    entry = {
        *("correlation_id", "event_id", "event", "received_at", "outcome", "finished_at", "meeting", "appointment_id"),
        *("attempts", "columns", "notes", "reason", "error_code", "request_id", "dataverse_calls", "changed_at"),
        *("delivered_at", "next_attempt_at", "dismissed_because", "by"),
    }
    assert (journal.LAYOUT, {one.name for one in fields(journal.Entry)}) == (1, entry)
    dead_letter = {
        *("correlation_id", "meeting", "event", "reason", "error_code", "request_id", "attempts", "first_failed_at"),
        *("last_failed_at", "merged", "event_id", "received_at", "spill_key", "row"),
    }
    assert (dead_letters.LAYOUT, {one.name for one in fields(dead_letters.DeadLetter)}) == (1, dead_letter)
