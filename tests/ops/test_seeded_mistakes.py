"""Mistakes that people make in a mapping file: each is found alone, with its place and what to write instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ops.columns import compare, read_live
from sandbox.dataverse.schema import APPOINTMENT, Column, Navigation
from shared.errors import BadMapping
from shared.meeting.mapping import parse_mapping
from tests.product.bench import Installation
from tests.samples import default_content

Mistake = Callable[[dict[str, Any]], object]
COLUMNS = (
    Column("new_attempts", "Integer", least=0, most=100),
    Column("new_price", "Money", least=0, most=1000, precision=2),
    Column("new_kind", "Picklist", options=(1, 2), labels=("Demo", "Intro")),
    Column("new_topics", "MultiSelectPicklist", options=(1, 2), labels=("Price", "Rollout")),
    Column("new_day", "DateOnly"),
    Column("new_origin", "String", max_length=10),
    Column("new_fixed", "String", max_length=200, create=False, update=False),
    Column("new_account", "Lookup"),
)
LOOKUP = Navigation("new_Account_Appointment", "new_account", ("account",))


def own(column: str, transform: str, **more: Any) -> dict[str, Any]:
    """A row of somebody's own, named like its column."""
    field = column.removeprefix("new_")
    return {"row": column, "field": field, "column": column, "transform": transform, "sources": ["attributes.x"]} | more


ROWS = [
    own("new_attempts", "number", minimum=0, maximum=100, decimals=0),
    own("new_price", "number", minimum=0, maximum=1000, decimals=2),
    own("new_kind", "choice", values={"Demo": 1}, otherwise=2),
    own("new_topics", "choices", values={"Price": 1}),
    own("new_day", "date"),
    own("new_origin", "constant", value="Outreach", sources=[]),
    own("new_account", "lookup", table="accounts", bind="new_Account_Appointment", by="accountnumber"),
]


def change(number: int, **members: Any) -> Mistake:
    """Row `number` of `ROWS` with other members."""
    return lambda content: content["rows"][11 + number].update(members)


MISTAKES: list[tuple[Mistake, str, str]] = [
    (lambda c: c["rows"][2].update(collumn="subject"), "rows.2.collumn", "is 'column' meant?"),
    (lambda c: c["rows"][2].update(transform="tekst"), "rows.2.transform", "is 'text' meant?"),
    (lambda c: c["rows"][2].update(sources=["title"]), "rows.2.sources.0", "write attributes.NAME"),
    (lambda c: c["rows"][8].update(sources=["attributes.prospect"]), "rows.8", "read from relationships.NAME"),
    (lambda c: c["rows"][2].update(max_length=400), "Title", 'Set "max_length": 200'),
    (lambda c: c["rows"][4].update(column="new_place"), "Location", "Correct the name in the mapping file"),
    (lambda c: c["rows"][4].update(column="new_fixed"), "Location", "Choose another column"),
    (lambda c: c["create_conditions"][0].update(field="prospect"), "field prospect", "which no row or signal has"),
    (lambda c: c["create_conditions"][1].update({"is": "equal"}), "create_conditions.1", "need a value"),
    (lambda c: c["attendees"].update(order=["contacts"]), "attendees.order.0", "'contact' or 'lead'"),
    (change(0, maximum=1000), "new_attempts", 'Set "maximum": 100'),
    (change(0, decimals=1), "new_attempts", 'Set "decimals": 0'),
    (change(1, decimals=4), "new_price", 'Set "decimals": 2'),
    (change(2, transform="choices"), "new_kind", 'Set "transform": "choice"'),
    (change(2, values={"Demo": 100}), "new_kind", "1 (Demo), 2 (Intro)"),
    (change(2, values={"Demo": "1"}), "rows.13.values.Demo", "integer"),
    (change(3, otherwise=7), "new_topics", "1 (Price), 2 (Rollout)"),
    (change(4, transform="instant"), "new_day", 'Set "transform": "date"'),
    (change(5, value="Outreach sync"), "new_origin", 'Shorten "value"'),
    (change(6, bind="new_account_appointment"), "new_account", 'Set "bind": "new_Account_Appointment"'),
    (change(6, table="account"), "new_account", 'Set "table": "accounts"'),
    (change(6, by="number"), "new_account", 'Set "by" to a column of text'),
    (
        lambda c: c["rows"].append(
            own("new_origin", "template", template="{titel}", sources=[]) | {"column": "category"}
        ),
        "new_origin",
        "names field titel, which no row or signal reads",
    ),
]


async def problems(product: Installation, content: dict[str, Any]) -> list[str]:
    """What `mapping check --live` says of `content` that is not all right."""
    try:
        mapping = parse_mapping(json.loads(json.dumps(content)), origin="mine.json")
    except BadMapping as error:
        return list(error.problems)
    found = compare(mapping, await read_live(product.runtime.dataverse, mapping))
    return [f"{finding.what} {finding.fix}" for finding in found if finding.state == "problem"]


async def test_each_mistake_is_found_with_its_place_and_mend(product: Installation) -> None:
    """One sentence each; the file without them is all right."""
    product.crm.tables["appointments"] = APPOINTMENT.extended(*COLUMNS, navigations=(LOOKUP,))
    right = default_content()
    right["rows"] += ROWS
    assert await problems(product, right) == []
    assert len(MISTAKES) >= 20
    for mistake, place, mend in MISTAKES:
        content = json.loads(json.dumps(right))
        mistake(content)
        found = await problems(product, content)
        assert len(found) == 1, (place, found)
        (problem,) = found
        assert place in problem
        assert mend in problem
