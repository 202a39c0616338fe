"""What the tests of the core share: the default mapping, deliveries, people, and strategies for hypothesis."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.delivery import Delivery, Reference, parse_delivery
from shared.meeting.mapping import MappingFile, parse_mapping
from shared.meeting.merge import Facts, Stamp, Stamped
from shared.meeting.people import CrmRecord, Person

# The same examples in every run, and no test that depends on the speed of a machine.
law = settings(derandomize=True, deadline=None)

RECEIVED = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
STAMP = Stamp("2026-03-02T12:00:00.000000Z", "2026-03-02T12:00:01.000000Z")
DEFAULT = load_mapping(DEFAULT_MAPPING_FILE)

# A row of the mapping that fills a lookup by a column of text.
ACCOUNT_BY_NUMBER: dict[str, Any] = {
    "row": "Account",
    "field": "account",
    "column": "new_account",
    "transform": "lookup",
    "table": "accounts",
    "bind": "new_Account_Appointment",
    "by": "accountnumber",
    "sources": ["attributes.account"],
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def default_content() -> dict[str, Any]:
    """The default mapping file as JSON, to be changed."""
    content: dict[str, Any] = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8"))
    return content


def mapping_with(**changes: Any) -> MappingFile:
    """The default mapping with these members replaced."""
    return parse_mapping(default_content() | changes, origin="test")


def everything_enabled() -> MappingFile:
    """The default mapping with every resource enabled."""
    content = default_content()
    for resource in content["resources"].values():
        resource["enabled"] = True
    return parse_mapping(content, origin="test")


def delivery(
    resource: str = "meeting",
    record_id: int | str = 5,
    *,
    action: str = "updated",
    attributes: Mapping[str, Any] | None = None,
    relationships: Mapping[str, Any] | None = None,
    delivered_at: str | None = "2026-03-02T03:00:00.032-08:00",
) -> Delivery:
    """A delivery, parsed."""
    data: dict[str, Any] = {"type": resource, "id": record_id}
    if attributes is not None:
        data["attributes"] = dict(attributes)
    if relationships is not None:
        data["relationships"] = dict(relationships)
    return parse_delivery({"data": data, "meta": {"eventName": f"{resource}.{action}", "deliveredAt": delivered_at}})


def stamped(values: Mapping[str, Any], stamp: Stamp = STAMP) -> Facts:
    """Facts that one event set."""
    return {name: Stamped(value, stamp) for name, value in values.items()}


def guid(number: int) -> str:
    """A GUID that can be told from others at sight."""
    return f"00000000-0000-4000-8000-{number:012d}"


def person(*tables: str, number: int = 1, email: str | None = None) -> Person:
    """Somebody with a record in each of `tables`."""
    return Person(tuple(CrmRecord(table, guid(number)) for table in tables), email)


def ref(kind: str, record_id: int | str) -> dict[str, str]:
    """A reference as a merged field holds it."""
    return {"type": kind, "id": str(record_id)}


def nobody(references: Iterable[Reference]) -> dict[Reference, Person]:
    """Nobody of `references` is known in Dynamics."""
    return dict.fromkeys(references, Person())
