"""What we send against Microsoft's own metadata: every column, bind and type, in everything that a long life writes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import StorageNames
from sandbox.outreach.deliveries import MeetingScript, Target
from tests.product.bench import Installation, installation

DATA = Path(__file__).resolve().parents[3] / "shared" / "reference" / "data" / "dataverse"
NAMESPACE = "{http://docs.oasis-open.org/odata/ns/edm}"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"Microsoft's metadata is not at {DATA}")


@pytest.fixture
async def sent(azurite: str, storage_names: StorageNames) -> list[dict[str, Any]]:
    """Every body that a meeting of every kind makes us send."""
    async with installation(azurite, storage_names.queue("events"), SYNC_ON_CANCEL="cancel") as product:
        script = MeetingScript(1)
        await product.sync(script.booked(opportunity=301, prospects=[101, 104, 108], description="x", location="y"))
        await product.sync(script.changed(title="New", description=None, allDay=True))
        await product.sync(script.changed(relationships={"opportunity": None, "user": Target("user", 2)}))
        await product.sync(script.changed(relationships={"prospects": (Target("prospect", 109),), "prospect": None}))
        await product.sync(script.completed())
        await product.sync(script.changed(title="After"))
        other = MeetingScript(2)
        await product.sync(other.booked(prospects=[104]), other.canceled())
        return written(product)


def written(product: Installation) -> list[dict[str, Any]]:
    """Bodies without headers."""
    return [{name: value for name, value in body.items() if name != "headers"} for body in product.writes()]


def entities() -> dict[str, Any]:
    """Columns and lookups of the tables, by logical name."""
    found: dict[str, Any] = json.loads((DATA / "entities.v9.2.json").read_text(encoding="utf-8"))["entities"]
    return found


def metadata() -> ET.Element:
    """The $metadata of a real organisation of v8.2, which has the tables of Sales that the v9.2 lists leave out."""
    return ET.parse(DATA / "appointment-subset.v8.2.edmx.xml").getroot()  # noqa: S314 - a file of our own folder


def navigations(name: str) -> dict[str, set[str]]:
    """The tables that each navigation property of a table may point into."""
    targets: dict[str, set[str]] = {}
    for lookup in entities()[name]["lookups"]:
        targets.setdefault(lookup["navigation_property"], set()).add(lookup["target"])
    for entity in metadata().iter(f"{NAMESPACE}EntityType"):
        if entity.get("Name") == name:
            for found in entity.findall(f"{NAMESPACE}NavigationProperty"):
                target = str(found.get("Type")).removeprefix("mscrm.")
                targets.setdefault(str(found.get("Name")), set()).add(target)
    return targets


def check_names(body: dict[str, Any], table_name: str) -> None:
    """Every member is a writable column, or a bind of a navigation property to a set that it may point into."""
    table, targets = entities()[table_name], navigations(table_name)
    for name, value in body.items():
        if name == "appointment_activity_parties":
            continue
        if not name.endswith("@odata.bind"):
            assert name in table["writable"], name
            continue
        navigation = name.removesuffix("@odata.bind")
        if navigation == "ownerid":  # documented by Microsoft without the table's suffix
            navigation = "ownerid_appointment"
        assert navigation in targets, name
        if value is not None:
            entity_set = value.strip("/").split("(")[0]
            sets = {entities()[target]["entity_set"] for target in targets[navigation] if target in entities()}
            assert entity_set in sets | ({"systemusers"} if "owner" in navigation else set()), value


def test_names(sent: list[dict[str, Any]]) -> None:
    """All columns and binds exist in v9.2, letter case included, and are writable."""
    assert len(sent) >= 9
    for body in sent:
        check_names(body, "appointment")
        for party in body.get("appointment_activity_parties", ()):
            check_names(party, "activityparty")


def test_types(sent: list[dict[str, Any]]) -> None:
    """All values are of the type that $metadata gives the column."""
    types: dict[str, str] = {}
    for entity in metadata().iter(f"{NAMESPACE}EntityType"):
        if entity.get("Name") in {"activitypointer", "appointment"}:
            types |= {str(p.get("Name")): str(p.get("Type")) for p in entity.findall(f"{NAMESPACE}Property")}
    checked = set()
    for body in sent:
        for name, value in body.items():
            if name in types and value is not None:
                assert fits(types[name], value), (name, types[name], value)
                checked.add(name)
    assert {"subject", "scheduledstart", "isalldayevent", "overriddencreatedon", "statecode"} <= checked


def fits(kind: str, value: object) -> bool:
    """Whether `value` is JSON for an EDM type."""
    match kind:
        case "Edm.String":
            return isinstance(value, str)
        case "Edm.Boolean":
            return isinstance(value, bool)
        case "Edm.Int32":
            return isinstance(value, int) and not isinstance(value, bool)
        case "Edm.DateTimeOffset":
            return isinstance(value, str) and value.endswith("Z") and datetime.fromisoformat(value) is not None
        case _:
            raise AssertionError(f"no rule for {kind}")
