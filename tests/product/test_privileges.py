"""What the app's user may not do costs a note in the journal, never the appointment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.dataverse.seed import APP_USER_ID
from sandbox.outreach.deliveries import MeetingScript
from tests.product.bench import Installation


@pytest.mark.parametrize("created_on", ["grant", "ignore", "refuse"])
@pytest.mark.parametrize("on_behalf", ["grant", "refuse"])
async def test_refused_privileges(product: Installation, created_on: str, on_behalf: str) -> None:
    """Created On and Created By are set where allowed, and the appointment is written either way."""
    product.crm.switches = replace(product.crm.switches, override_created_on=created_on, act_on_behalf=on_behalf)  # type: ignore[arg-type]
    entry = await product.sync(MeetingScript(1).booked(bookedAt="2026-01-15T08:30:00.000Z", booker=2))
    assert entry["outcome"] == "created"
    values = product.appointment.values
    assert (values["createdon"] == "2026-01-15T08:30:00Z") == (created_on == "grant")
    assert (values["_createdby_value"] == APP_USER_ID) == (on_behalf == "refuse")
    assert any("createdon" in note for note in entry["notes"]) == (created_on != "grant")
    assert any("createdby" in note for note in entry["notes"]) == (on_behalf == "refuse")


async def test_a_refusal_is_remembered(product: Installation) -> None:
    """What was refused once is not asked for with every appointment."""
    product.crm.switches = replace(product.crm.switches, override_created_on="refuse", act_on_behalf="refuse")
    await product.sync(MeetingScript(1).booked())
    calls = product.crm.log.total
    entry = await product.sync(MeetingScript(2).booked())
    assert entry["dataverseCalls"] == product.crm.log.total - calls == 1
    assert len(entry["notes"]) == 2
