"""Columns of every type, on the wire: what a row of the mapping writes, and what it says of what does not fit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import StorageNames
from sandbox.dataverse.schema import APPOINTMENT, Column
from sandbox.outreach.deliveries import MeetingScript
from shared.admin.admin import BY_KEY
from tests.product.bench import Installation, installation
from tests.samples import default_content

COLUMNS = (
    Column("new_attempts", "Integer", least=0, most=100),
    Column("new_price", "Money", least=0, most=1_000_000, precision=2),
    Column("new_kind", "Picklist", options=(1, 2, 9), labels=("Demo", "Intro", "Other")),
    Column("new_topics", "MultiSelectPicklist", options=(1, 2, 3)),
    Column("new_day", "DateOnly"),
    Column("new_origin", "String", max_length=20),
    Column("new_synced", "Boolean"),
    Column("new_summary", "String", max_length=20),
)


def row(column: str, transform: str, source: str = "", **more: Any) -> dict[str, Any]:
    """A row of the mapping; one without a source reads nothing."""
    reads = {"field": column.removeprefix("new_"), "sources": [f"attributes.{source}"]} if source else {}
    return {"row": column, "column": column, "transform": transform, **reads, **more}


ROWS = [
    row("new_attempts", "number", "attempts", minimum=0, maximum=100, decimals=0),
    row("new_price", "number", "price", minimum=0, maximum=1_000_000, decimals=2),
    row("new_kind", "choice", "meetingType", values={"Demo": 1, "Intro": 2}, otherwise=9),
    row("new_topics", "choices", "topics", values={"Price": 1, "Rollout": 2, "Support": 3}),
    row("new_day", "date", "day"),
    row("new_origin", "constant", value="Outreach"),
    row("new_synced", "constant", value=True),
    row("new_summary", "template", template="{title}: {kind}", max_length=20),
]
SAID: dict[str, Any] = {
    "attempts": 3,
    "price": "12.5",
    "meetingType": "demo",
    "topics": ["Support", "Price"],
    "day": "2026-05-04T23:30:00Z",
}
STORED: dict[str, Any] = {
    "new_attempts": 3,
    "new_price": 12.5,
    "new_kind": 1,
    "new_topics": "1,3",
    "new_day": "2026-05-04",
    "new_origin": "Outreach",
    "new_synced": True,
    "new_summary": "Intro call: demo",
}


@pytest.fixture
async def typed(azurite: str, storage_names: StorageNames, tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation whose table and mapping have a column of each type."""
    content = default_content()
    content["rows"] += ROWS
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps(content), encoding="utf-8")
    async with installation(azurite, storage_names.queue("events"), MAPPING_FILE=str(mapping)) as product:
        product.crm.tables["appointments"] = APPOINTMENT.extended(*COLUMNS)
        yield product


def custom(values: Any) -> dict[str, Any]:
    """The custom columns among `values`."""
    return {name: value for name, value in values.items() if name.startswith("new_")}


async def test_each_type_is_written(typed: Installation) -> None:
    """With the create, in one call."""
    entry = await typed.sync(MeetingScript(1).booked(**SAID))
    assert custom(typed.appointment.values) == STORED
    assert entry["notes"] == []
    assert len(typed.writes()) == 1


async def test_what_is_written_is_what_is_read_back(typed: Installation) -> None:
    """To write what differs finds nothing to write."""
    await typed.sync(MeetingScript(1).booked(**SAID))
    reads = len([one for one in typed.crm.log.last(100) if one["method"] == "GET"])
    await typed.runtime.admin.write("1", by=BY_KEY)
    await typed.work()
    assert len([one for one in typed.crm.log.last(100) if one["method"] == "GET"]) > reads
    assert len(typed.writes()) == 1


async def test_another_change_touches_none_of_them(typed: Installation) -> None:
    """Only what changed is written, in one call more."""
    script = MeetingScript(1)
    await typed.sync(script.booked(**SAID))
    entry = await typed.sync(script.changed(location="Room 1"))
    assert set(typed.writes()[-1]) == {"location", "headers"}
    assert entry["dataverseCalls"] == 1


async def test_what_is_cleared_is_cleared(typed: Installation) -> None:
    """A null empties the column; a template is made anew of what is left, and a constant stays."""
    script = MeetingScript(1)
    await typed.sync(script.booked(**SAID))
    await typed.sync(script.changed(**dict.fromkeys(SAID)))
    assert custom(typed.appointment.values) == dict.fromkeys(STORED) | {
        "new_origin": "Outreach",
        "new_synced": True,
        "new_summary": "Intro call:",
    }


async def test_what_does_not_fit_is_noted(typed: Installation) -> None:
    """Beyond the limits, with too many digits, unknown, impossible or too long: each leaves a note."""
    script = MeetingScript(1)
    await typed.sync(script.booked(**SAID))
    odd: dict[str, Any] = {
        "attempts": 101,
        "price": 9.999,
        "meetingType": "Lunch",
        "topics": "Price; Weather",
        "day": "1700-01-01",
        "title": "A conversation of some length",
    }
    entry = await typed.sync(script.changed(**odd))
    assert custom(typed.appointment.values) == STORED | {
        "new_price": 10,
        "new_kind": 9,
        "new_topics": "1",
        "new_summary": "A conversation of…",
    }
    assert sorted(note.split(":")[0] for note in entry["notes"]) == [
        "new_attempts",
        "new_day",
        "new_kind",
        "new_price",
        "new_summary",
        "new_topics",
    ]
    assert not any(word in str(entry["notes"]) for word in ("Lunch", "Weather"))


async def test_a_change_in_another_field_changes_the_template(typed: Installation) -> None:
    """It is made of both, and written with either."""
    script = MeetingScript(1)
    await typed.sync(script.booked(**SAID))
    await typed.sync(script.changed(meetingType="Intro"))
    assert custom(typed.writes()[-1]) == {"new_kind": 2, "new_summary": "Intro call: Intro"}


async def test_a_value_that_the_table_refuses_costs_its_column(typed: Installation) -> None:
    """Where the mapping knows less than the table, the rest is written and the column is named."""
    narrower = [Column(one.name, one.type, options=(1, 2), least=0, most=5, max_length=20) for one in COLUMNS]
    typed.crm.tables["appointments"] = APPOINTMENT.extended(*narrower)
    await typed.sync(MeetingScript(1).booked(**SAID | {"attempts": 6, "meetingType": "Lunch"}))
    refused = (await typed.meeting("1"))["refused"]
    assert {one["column"]: one["code"] for one in refused} == {
        "new_attempts": "0x80044330",
        "new_price": "0x80044330",
        "new_kind": "0x8004431a",
        "new_topics": "0x8004431a",
    }
    assert custom(typed.appointment.values)["new_origin"] == "Outreach"
