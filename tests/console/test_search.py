"""What somebody looks for, told apart by its form."""

from __future__ import annotations

import pytest

from shared.console.search import Sought, sought

HEX = "f6ac24355f0255beae3f642335c2e6d8"
GUID = "f6ac2435-5f02-55be-ae3f-642335c2e6d8"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" 5 ", Sought("5", meeting="5")),
        ("calendarEvent:17", Sought("calendarEvent:17", meeting="calendarEvent:17")),
        (GUID, Sought(GUID, correlation_id=GUID.replace("-", ""), appointment_id=GUID)),
        (
            f"{{{GUID.upper()}}}",
            Sought(f"{{{GUID.upper()}}}", correlation_id=GUID.replace("-", ""), appointment_id=GUID),
        ),
        (
            f"https://contoso.crm.dynamics.com/main.aspx?etn=appointment&id={GUID}",
            Sought(f"https://contoso.crm.dynamics.com/main.aspx?etn=appointment&id={GUID}", appointment_id=GUID),
        ),
        (
            f"https://contoso.crm.dynamics.com/main.aspx?id=%7b{GUID.upper()}%7d",
            Sought(f"https://contoso.crm.dynamics.com/main.aspx?id=%7b{GUID.upper()}%7d", appointment_id=GUID),
        ),
        ("", Sought("")),
        ("prospect 101", Sought("prospect 101", prospect="101")),
        (
            "https://web.outreach.io/prospects/101/overview",
            Sought("https://web.outreach.io/prospects/101/overview", prospect="101"),
        ),
        ("Demo", Sought("Demo", meeting="Demo", title="Demo")),
        ("Demo: Acme", Sought("Demo: Acme", title="Demo: Acme")),
        ("Demo:Acme", Sought("Demo:Acme", meeting="Demo:Acme", title="Demo:Acme")),
        ("meeting:ops-test", Sought("meeting:ops-test", meeting="meeting:ops-test", title="meeting:ops-test")),
        ("Prospects 2026", Sought("Prospects 2026", title="Prospects 2026")),
        ("Prospect:101", Sought("Prospect:101", prospect="101")),
    ],
)
def test_what_is_sought(text: str, expected: Sought) -> None:
    """Ids are told apart by their form; a pasted address counts as the record in it; all else is a title."""
    assert sought(text) == expected
