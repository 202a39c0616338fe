"""What a mapping file means stays: each delivery here is written, byte by byte, as when the writes were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.dataverse.odata import selection, to_body
from shared.errors import Unmappable
from shared.meeting.appointment import Policy, collapse, creators, desired, references
from shared.meeting.delivery import Reference, parse_delivery
from shared.meeting.mapping import parse_mapping
from shared.meeting.patch import read_patch
from tests.samples import default_content, person

RECORDED = json.loads(Path(__file__).with_name("recorded_writes.json").read_text(encoding="utf-8"))
RECEIVED = datetime(2026, 3, 2, 12, tzinfo=UTC)
_TABLES = {"prospect": ("contact", "lead"), "user": ("systemuser",), "opportunity": ("opportunity",)}


def people(wanted: Iterable[Reference]) -> dict[Reference, Any]:
    """Records below 10 are known in Dynamics, below 20 by their second table, below 30 by address, others not."""
    found = {}
    for one in wanted:
        number = int(one.id)
        tables = _TABLES[one.type][:1] if number < 10 else _TABLES[one.type][1:] if number < 20 else ()
        email = f"Guest.{number}@Example.com" if 20 <= number < 30 else None
        found[one] = person(*tables, number=number, email=email)
    return found


def written(case: dict[str, Any]) -> dict[str, Any]:
    """What becomes of one delivery: the body that Dataverse gets for it, or why it gets none."""
    content = default_content()
    content["rows"] += case.get("rows", [])
    content |= case.get("mapping", {})
    mapping = parse_mapping(content, origin="recorded")
    policy = Policy(zone=ZoneInfo(case.get("zone", "UTC")), on_cancel=case.get("on_cancel", "ignore"))
    try:
        patch = read_patch(parse_delivery(case["delivery"]), mapping=mapping, received_at=RECEIVED)
        values = collapse(patch.fields, mapping)
        found = people(references(values, mapping) | creators(values, mapping))
        want = desired(values, mapping=mapping, people=found, policy=policy)
    except Unmappable as error:
        return {"refused": [error.code, error.reason]}
    state = want.columns.get("statecode")
    columns = {name: value for name, value in want.new.items() if name != "statecode"}
    return {
        "body": to_body(columns, mapping.wires),
        "read_back": selection(columns, mapping.wires),
        "state": state,
        "created": [want.created_on, want.created_by],
        "notes": sorted(want.notes),
    }


@pytest.mark.parametrize("name", RECORDED)
def test_the_same_delivery_is_written_the_same(name: str) -> None:
    """Names, values and form of what goes over the wire, what is read back, the notes, and each refusal."""
    case = RECORDED[name]
    assert json.dumps(written(case), sort_keys=True) == json.dumps(case["written"], sort_keys=True)
