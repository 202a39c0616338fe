"""Store one of everything, and keep it as a file: `python -m tests.storage.layouts.write FILE`.

Run it before the layout of a stored row changes. What it writes then is what the new code must read for ever
(`tests/storage/test_layouts.py`): meetings in every phase, journal rows of every outcome, dead letters, events in the
overflow table, and the messages that wait.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from azure.data.tables.aio import TableServiceClient
from azure.storage.queue import QueueMessage

from sandbox.azurite import Azurite
from sandbox.dataverse import people
from sandbox.dataverse.plugins import Plugin
from sandbox.outreach.deliveries import MeetingScript, Target
from shared.dataverse.appointments import AppointmentApi
from shared.errors import Transient
from shared.pipeline.people import CrmDirectory
from tests.outreach.samples import mapping_content, task
from tests.product.bench import Installation, installation

QUEUE = "layout-events"
TOO_EARLY = "2020-01-01T00:00:00Z"


async def store_everything(product: Installation, folder: Path) -> list[QueueMessage]:
    """Leave one of everything in the tables; returns the messages that wait."""
    leave = folder / "mapping.json"
    leave.write_text(json.dumps(mapping_content("task") | {"deleted_in_dynamics": "leave"}), encoding="utf-8")
    await product.restart(MAPPING_FILE=str(leave))
    await _applied(product)
    await _linked(product)
    await _dead_letters(product)
    await _refused(product)
    return await _under_way(product) + await _parked(product)


async def _applied(product: Installation) -> None:
    """Meetings 1 (changed, merged, twice, too late), 2 (held, with a column cleared), 11 (deleted by a person)."""
    script = MeetingScript(1)
    booked = script.booked(prospects=[101, 102], location="Room 1")
    changed, early = script.changed(title="Changed \N{SNOWMAN}"), script.changed(title="Old", updatedAt=TOO_EARLY)
    await product.sync(booked, changed, booked, early)
    await product.sync(script.canceled())
    held = MeetingScript(2)
    await product.sync(held.booked(description="long " * 200), held.changed(location=None), held.completed())
    deleted = MeetingScript(11)
    entry = await product.sync(deleted.booked())
    people.delete(product.crm, {"id": entry["appointmentId"]})
    await product.sync(deleted.changed(title="Nobody wants it"))


async def _linked(product: Installation) -> None:
    """Calendar events 17 (its appointment became meeting 15's), 18 (the second of meeting 16), 19 (20, with a task)."""
    own = MeetingScript(17, resource="calendarEvent")
    await product.sync(own.booked(), own.changed(relationships={"meeting": Target("meeting", 15)}))
    meeting, second = MeetingScript(16), MeetingScript(18, resource="calendarEvent")
    await product.sync(meeting.booked(), second.booked())
    await product.restart(SYNC_OUTBOUND_UPDATE="false")
    await product.sync(second.changed(relationships={"meeting": Target("meeting", 16)}))
    await product.restart(SYNC_OUTBOUND_UPDATE="")
    await product.sync(task(2, "created", subject={"data": {"type": "calendarEvent", "id": 19}}))
    await product.sync(MeetingScript(19, resource="calendarEvent", meeting=20).booked())
    await product.sync(task(3, "completed"))


async def _dead_letters(product: Installation) -> None:
    """Of meetings 9 (remembered), 10 (not remembered, large); 12 has had one that was dismissed; one of nobody's."""
    remembered = MeetingScript(9)
    await product.sync(remembered.booked())
    product.crm.plugins.registered.append(Plugin(message="No."))
    await product.sync(remembered.changed(title="Refused"))
    product.crm.plugins.registered.clear()
    await product.sync(MeetingScript(10).booked(startTime="nonsense", description=_noise(90_000)))
    entry = await product.sync(MeetingScript(12).booked(startTime="nonsense"))
    await product.runtime.admin.dismiss(frozenset({entry["correlationId"]}), reason="Booked by mistake.", by="_master")
    await product.runtime.carry_out_poisoned(b"\xff\xfe is no envelope")


async def _refused(product: Installation) -> None:
    """Of meeting 22 Dynamics does not take the location."""
    product.crm.plugins.registered.append(Plugin("location"))
    await product.sync(MeetingScript(22).booked(location="Room 22"))
    product.crm.plugins.registered.clear()


async def _under_way(product: Installation) -> list[QueueMessage]:
    """Meetings 3 (a change in doubt), 4 (being made), 5 (nobody was looked up), 6 (opened for a change); 7 too large.

    Returns what waits in the queue for them.
    """
    changing, opened = MeetingScript(3), MeetingScript(6)
    await product.sync(changing.booked(prospects=[101, 199]), opened.booked(), opened.completed())
    waiting = []
    for delivery, method, answered in (
        (changing.changed(title="In doubt"), (AppointmentApi, "update"), 0),
        (MeetingScript(4).booked(), (AppointmentApi, "create"), 0),
        (MeetingScript(5).booked(), (CrmDirectory, "resolve"), 0),
        (opened.changed(title="In doubt"), (AppointmentApi, "update"), 1),
    ):
        await product.send(delivery)
        with _failing(*method, after=answered):
            await product.work(limit=1)
        waiting += await _taken(product)
    await product.send(MeetingScript(7).booked(description=_noise(90_000)))
    return waiting + await _taken(product)


async def _parked(product: Installation) -> list[QueueMessage]:
    """Meetings 14 (the sweep has sent it on), 13 (without a prospect), 8 (without times), 21 (Pushing is off)."""
    await product.sync(MeetingScript(14).booked(prospects=()))
    await product.restart(SYNC_ON_CANCEL="cancel")
    await product.runtime.sweep.run()
    waiting = await _taken(product)
    await product.sync(MeetingScript(13).booked(prospects=()), MeetingScript(8).changed(title="Which times?"))
    await product.restart(SYNC_PUSHING="false")
    await product.sync(MeetingScript(21).booked())
    return waiting


async def _taken(product: Installation) -> list[QueueMessage]:
    """What waits in the queue, out of the way of what follows."""
    return [message async for message in product.queue.receive_messages(visibility_timeout=3600)]


def _noise(length: int) -> str:
    """Text that no compression makes small."""
    return "".join(chr(0x4E00 + (number * number * 7919) % 20_000) for number in range(length // 3))


@contextmanager
def _failing(owner: type, name: str, *, after: int = 0) -> Iterator[None]:
    """The calls of this method but for the first `after` do not get an answer."""
    method, calls = getattr(owner, name), iter(range(after))

    async def fail(self: Any, *arguments: Any, **named: Any) -> Any:
        if next(calls, None) is None:
            raise Transient("It did not answer.", service="dataverse")
        return await method(self, *arguments, **named)

    with patch.object(owner, name, fail):
        yield


async def stored(storage: str, names: Collection[str]) -> dict[str, Any]:
    """What lies in the tables whose names end with these, by that name."""
    found: dict[str, Any] = {}
    async with TableServiceClient.from_connection_string(storage) as service:
        tables = [table.name async for table in service.list_tables()]
        for name in names:
            for table in (one for one in tables if one.endswith(name)):
                entities = [dict(one) async for one in service.get_table_client(table).list_entities()]
                found[name] = [{key: _plain(value) for key, value in entity.items()} for entity in entities]
    return found


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


TABLES = ("meetings", "correlations", "deadletters", "spill", "sweep", "directory", "tallies")


async def everything() -> str:
    """One of everything, stored by this version, as JSON."""
    with Azurite(persistence="memory") as azurite, tempfile.TemporaryDirectory() as folder:
        async with installation(azurite.connection_string, QUEUE) as product:
            messages = [one.content for one in await store_everything(product, Path(folder))]
        document = {"tables": await stored(azurite.connection_string, TABLES), "queue": messages}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(asyncio.run(everything()), encoding="utf-8")
