"""What the pages show when things are odd: settings wrong, storage away, rows of another mapping."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.outreach.deliveries import MeetingScript
from shared.core.errors import Transient
from shared.core.mapping import DEFAULT_MAPPING_FILE
from tests.console.test_access import signed_in
from tests.product.bench import Installation


async def test_the_first_look_at_an_empty_installation(product: Installation) -> None:
    """Several pages at once find no queue yet, and each makes it: all of them succeed."""
    await product.queue.delete_queue()
    depths = await asyncio.gather(*(product.runtime.queue.depth() for _ in range(8)))
    assert set(depths) == {0}


async def test_wrong_settings_are_told(product: Installation) -> None:
    """The overview works and names what is wrong; pages that need the settings say so too."""
    await product.restart(DATAVERSE_URL="https://example.com")
    request = await signed_in(product)
    home = await product.runtime.console.show(request)
    assert home.status == 200
    assert "DATAVERSE_URL is not a Dynamics 365 host" in home.html
    meeting = await product.runtime.console.show(replace(request, page="meeting", query={"id": "1"}))
    assert meeting.status == 503
    assert "DATAVERSE_URL is not a Dynamics 365 host" in meeting.html


async def test_a_missing_secret_is_told(product: Installation) -> None:
    """Without the webhook's secret nothing is taken in; the overview and the timer's report say how things stand."""
    await product.sync(MeetingScript(1).booked(prospects=()))
    await product.restart(OUTREACH_WEBHOOK_SECRET="")
    home = await product.runtime.console.show(await signed_in(product))
    assert home.status == 200
    assert "OUTREACH_WEBHOOK_SECRET is missing" in home.html
    assert (await product.runtime.standing.report()).parked == 1


async def test_storage_away_is_told(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page says what is out of reach instead of failing without a word."""
    request = await signed_in(product)

    async def away() -> int:
        raise Transient("Azure Storage cannot be reached.", service="storage")

    monkeypatch.setattr(product.runtime.queue, "depth", away)
    answer = await product.runtime.console.show(request)
    assert answer.status == 503
    assert "Azure Storage cannot be reached." in answer.html


async def test_a_field_of_an_older_mapping_is_shown(product: Installation, tmp_path: Path) -> None:
    """A value that no row of the mapping reads any more is still part of what is known."""
    await product.sync(MeetingScript(1).booked(location="Room"))
    content = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8"))
    content["rows"] = [row for row in content["rows"] if row["field"] != "location"]
    other = tmp_path / "mapping.json"
    other.write_text(json.dumps(content), encoding="utf-8")
    await product.restart(MAPPING_FILE=str(other))
    request = await signed_in(product)
    answer = await product.runtime.console.show(replace(request, page="meeting", query={"id": "1"}))
    assert answer.status == 200
    assert "Room" in answer.html


async def test_an_event_without_a_readable_value_is_found_by_its_meeting(product: Installation) -> None:
    """Somebody looks for the meeting, not for the event that could not be read."""
    await product.sync(MeetingScript(5).booked(startTime="nonsense"))
    request = await signed_in(product)
    answer = await product.runtime.console.show(replace(request, page="find", query={"q": "5"}))
    assert (answer.status, answer.headers["Location"]) == (303, "/api/console/meeting?id=5")
    page = await product.runtime.console.show(replace(request, page="meeting", query={"id": "5"}))
    assert "an ISO 8601 time was expected" in page.html


async def test_an_appointment_is_found_among_others(product: Installation) -> None:
    """Its id leads to its meeting; that of an appointment that people made leads nowhere."""
    for number in (1, 2, 3):
        await product.sync(MeetingScript(number).booked())
    meeting = await product.runtime.admin.meeting("2")
    assert meeting is not None
    request = await signed_in(product)
    found = await product.runtime.console.show(replace(request, page="find", query={"q": meeting["appointmentId"]}))
    assert found.headers["Location"] == "/api/console/meeting?id=meeting%3A2"
    other = "00000000-0000-4000-8000-000000000000"
    assert (await product.runtime.console.show(replace(request, page="find", query={"q": other}))).status == 404
