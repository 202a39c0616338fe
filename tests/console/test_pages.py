"""What the pages show when things are odd: settings wrong, storage away, rows of another mapping."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from sandbox.dataverse.errors import PLUGIN_REFUSED
from sandbox.dataverse.plugins import Plugin
from sandbox.outreach.deliveries import MeetingScript
from sandbox.outreach.faults import FaultPlan
from shared.admin.admin import BY_KEY
from shared.console import console, words
from shared.console.pages import Answer, Request
from shared.console.search import MAX_TEXT
from shared.errors import Transient
from shared.mapping_file import DEFAULT_MAPPING_FILE
from shared.meeting.refused import REFUSED_ADVICE
from shared.pipeline.signature import sign
from shared.pipeline.sweep import RETRY
from shared.runtime import new_trace
from tests.console.test_access import form_token, signed_in
from tests.product.bench import SECRET, Installation


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
    assert (await product.runtime.backlog.report()).parked == 1


async def test_storage_away_is_told(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page says what is out of reach instead of failing without a word."""
    request = await signed_in(product)

    async def away() -> int:
        raise Transient("Azure Storage cannot be reached.", service="storage")

    monkeypatch.setattr(product.runtime.queue, "depth", away)
    answer = await product.runtime.console.show(request)
    assert answer.status == 503
    assert "Azure Storage cannot be reached." in answer.html


async def test_a_stranger_is_not_told_why(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be looked up who somebody is, nobody gets in, and reasons stay with admins."""

    async def away(_: str) -> None:
        raise Transient("AuthorizationFailure of the account contoso.", service="storage")

    monkeypatch.setattr(product.runtime.console._access._sessions, "find", away)
    answer = await product.runtime.console.show(Request("GET", "home", headers={"cookie": "__Host-console=x"}))
    assert answer.status == 503
    assert "contoso" not in answer.html


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
    meeting = await product.meeting("2")
    assert meeting is not None
    request = await signed_in(product)
    found = await product.runtime.console.show(replace(request, page="find", query={"q": meeting["appointmentId"]}))
    assert found.headers["Location"] == "/api/console/meeting?id=meeting%3A2"
    other = "00000000-0000-4000-8000-000000000000"
    assert (await product.runtime.console.show(replace(request, page="find", query={"q": other}))).status == 404


async def look_for(product: Installation, text: str) -> Answer:
    """What the search box shows for `text`."""
    return await product.runtime.console.show(replace(await signed_in(product), page="find", query={"q": text}))


async def test_a_meeting_is_found_by_its_title_or_its_prospect(product: Installation) -> None:
    """Who does not know an id finds the meeting by words of its title, or by the prospect's number."""
    await product.sync(MeetingScript(1).booked(title="Demo for Acme", prospects=(101, 104)))
    await product.sync(MeetingScript(2).booked(title="Intro call", prospects=(104,)))
    for text, meetings in (
        ("demo for ACME", {1}),
        ("acme", {1}),
        ("prospect 104", {1, 2}),
        ("https://web.outreach.io/prospects/101/overview", {1}),
    ):
        answer = await look_for(product, text)
        assert answer.status == 200
        assert {number for number in (1, 2) if f"id=meeting%3A{number}" in answer.html} == meetings, text
    for text in ("Jane Doe", "prospect 10"):
        answer = await look_for(product, text)
        assert answer.status == 404
        assert "Names of people are not kept here" in answer.html


@pytest.mark.parametrize(("length", "status"), [(MAX_TEXT, 303), (MAX_TEXT + 1, 400), (100_000, 400)])
async def test_words_without_end_are_not_looked_for(product: Installation, length: int, status: int) -> None:
    """Something large that was pasted by mistake is refused in words; it would make an address that no server takes."""
    request = await signed_in(product)
    body = urlencode({"form": await form_token(product, request), "q": f" {'ü' * length} "}).encode()
    answer = await product.runtime.console.show(replace(request, method="POST", page="find", body=body))
    assert answer.status == status
    if status == 303:
        assert len(answer.headers["Location"]) < 2000
    else:
        assert f"over {MAX_TEXT} characters" in answer.html
        asked = replace(request, page="find", query={"q": "w" * length})
        assert (await product.runtime.console.show(asked)).status == 400


async def test_a_search_that_takes_too_long_says_so(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that could not look at every meeting does not claim that there is none."""
    await product.sync(MeetingScript(1).booked(title="Demo"))
    monkeypatch.setattr(console, "SEARCH_SECONDS", 0.0)
    answer = await look_for(product, "some title")
    assert answer.status == 404
    assert "too many to look at them all" in answer.html


async def test_parked_meetings_are_listed_with_the_reason(product: Installation) -> None:
    """The number on the overview leads to the meetings that it counts."""
    await product.sync(MeetingScript(1).booked(title="Nobody invited", prospects=()), MeetingScript(2).booked())
    request = await signed_in(product)
    assert "/api/console/parked" in (await product.runtime.console.show(request)).html
    answer = await product.runtime.console.show(replace(request, page="parked"))
    assert "Nobody invited" in answer.html
    assert "The meeting has no prospect." in answer.html
    assert "meeting%3A2" not in answer.html


async def test_what_is_not_well_stands_on_top(product: Installation) -> None:
    """Whoever opens the overview while Dynamics is away sees it before any number."""
    request = await signed_in(product)
    assert "Not well" not in (await product.runtime.console.show(request)).html
    await product.restart(DATAVERSE_URL="http://127.0.0.1:1")
    home = (await product.runtime.console.show(await signed_in(product))).html
    assert home.index("Not well") < home.index("At a glance")
    assert "Dynamics. <a" in home


async def test_a_part_of_the_timer_that_fails_stands_on_top(product: Installation) -> None:
    """Nobody else is told at once that what webhooks missed is not looked for; it goes when the part succeeds."""
    product.outreach.faults = FaultPlan.parse({"next": [{"kind": "404", "path": "/api/v2/webhooks"}]})
    await product.restart(PUBLIC_URL="https://app.example.com")
    assert set((await product.runtime.sweep.run()).failed) == {"subscription"}
    home = (await product.runtime.console.show(await signed_in(product))).html
    assert home.index("The timer fails</strong> at the Outreach webhook since") < home.index("At a glance")
    assert "Outreach knows no webhooks at this address" in home
    product.runtime.later = RETRY
    await product.runtime.sweep.run()
    assert "The timer fails" not in (await product.runtime.console.show(await signed_in(product))).html


async def test_every_part_of_the_timer_has_words(product: Installation) -> None:
    """The overview may have to name any of them."""
    names = {part.name for part in product.runtime.sweep._parts}
    assert not {name for name in names if words.part(name) == name}


async def test_a_meetings_page_says_what_it_is_and_what_was_written(product: Installation) -> None:
    """Title and start on top, what people look for first, and beside each value what Dynamics was given."""
    await product.sync(MeetingScript(1).booked(title="Intro call", user=1))
    request = await signed_in(product)
    html = (await product.runtime.console.show(replace(request, page="meeting", query={"id": "1"}))).html
    assert html.index("Intro call") < html.index("Open the appointment in Dynamics")
    assert html.index(">Title<") < html.index(">Start Time<") < html.index(">Booker<")
    assert f"systemuser:{product.appointment.values['_ownerid_value']}" in html
    assert f"main.aspx?pagetype=entityrecord&amp;etn=appointment&amp;id={product.appointment.id}" in html


@pytest.mark.parametrize(("rule", "said"), [("recreate", "it is then made again"), ("leave", "it stays deleted")])
async def test_a_meetings_page_says_what_a_deleted_appointment_takes(
    product: Installation, tmp_path: Path, rule: str, said: str
) -> None:
    """The app cannot know of it before it writes again, so the page says when it last did and what makes it look."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8")) | {"deleted_in_dynamics": rule}
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    await product.restart(MAPPING_FILE=str(path))
    await product.sync(MeetingScript(1).booked(prospects=()))
    request = replace(await signed_in(product), page="meeting", query={"id": "1"})
    assert "Last written" not in (await product.runtime.console.show(request)).html
    entry = await product.sync(MeetingScript(2).booked())
    answer = await product.runtime.console.show(replace(request, query={"id": "2"}))
    assert said in answer.html
    last = answer.html.partition("<dt>Last written</dt><dd>")[2].partition("<span")[0]
    assert entry["finishedAt"][:19] in last


async def test_a_meetings_page_says_what_it_took_over(product: Installation, tmp_path: Path) -> None:
    """Which appointment, made by whom and when; of one that the app made it says nothing."""
    request = replace(await signed_in(product), page="meeting", query={"id": "1"})
    script = MeetingScript(1)
    await product.sync(script.booked())
    assert "Took over" not in (await product.runtime.console.show(request)).html
    mapping = tmp_path / "adopting.json"
    content = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8"))
    mapping.write_text(json.dumps({**content, "existing": {"adopt": "always"}}), encoding="utf-8")
    await product.restart(MAPPING_FILE=str(mapping))
    # The same appointment under an id that Dataverse made.
    theirs = "90000000-0000-4000-8000-000000000001"
    row = product.crm.appointments.pop(product.appointment.id)
    row.id = row.values["activityid"] = theirs
    product.crm.appointments[theirs] = row
    await product.sync(MeetingScript(2).booked())
    shown = (await product.runtime.console.show(replace(request, query={"id": "2"}))).html
    assert f"<dd>Took over appointment {theirs}, made by user {row.values['_createdby_value']} on " in shown


async def test_a_meetings_page_names_the_columns_that_dynamics_refused(product: Installation) -> None:
    """Which, why, and what to do; once it is taken the page says no more of it."""
    product.crm.plugins.registered.append(Plugin("location"))
    await product.sync(MeetingScript(1).booked(location="Room 1"))
    request = replace(await signed_in(product), page="meeting", query={"id": "1"})
    shown = (await product.runtime.console.show(request)).html
    assert "<strong>Dynamics refused a column:</strong> <code>location</code>" in shown
    assert f"<code>{PLUGIN_REFUSED}</code>. {REFUSED_ADVICE}" in shown
    product.crm.plugins.registered.clear()
    assert await product.runtime.admin.write("1", by=BY_KEY)
    await product.work()
    assert "refused a column" not in (await product.runtime.console.show(request)).html


async def test_a_dead_letter_is_in_the_time_line(product: Installation) -> None:
    """Also one of which nothing could be remembered: the admin looks for it there."""
    entry = await product.sync(MeetingScript(5).booked(startTime="nonsense"))
    request = await signed_in(product)
    html = (await product.runtime.console.show(replace(request, page="meeting", query={"id": "5"}))).html
    line = html.partition("Its last events")[2]
    assert entry["correlationId"] in line
    assert "Dead letter" in line
    assert "it was not made yet" in html


async def test_an_address_cannot_put_words_on_the_page(product: Installation) -> None:
    """What a link claims was sent again or dismissed is shown only if it is a number."""
    request = await signed_in(product)
    for name in ("replayed", "dismissed"):
        shown = replace(request, page="deadletters", query={name: "Call +1 555 0100: all events were"})
        assert "555 0100" not in (await product.runtime.console.show(shown)).html


async def test_an_error_of_our_own_is_told(
    product: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw is a page with the headers of all pages, and a line that says where, without its message."""
    request = await signed_in(product)

    async def broken() -> None:
        raise ZeroDivisionError("somebody@example.com")

    monkeypatch.setattr(product.runtime.health, "report", broken)
    answer = await product.runtime.console.show(request)
    assert answer.status == 500
    assert "An error in the app itself" in answer.html
    assert answer.headers["Cache-Control"] == "no-store"
    (logged,) = [json.loads(record.getMessage()) for record in caplog.records if "unforeseen" in record.getMessage()]
    assert (logged["error"], logged["at"][-1].split(":")[0]) == ("ZeroDivisionError", "test_pages.py")
    assert "somebody" not in answer.html + caplog.text


async def test_attack_in_the_mapping_file(product: Installation, tmp_path: Path) -> None:
    """Names that an admin pasted from somewhere are text as well: rows and reasons."""
    attack = "<img src=x onerror=alert(1)>"
    content = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8"))
    title = next(row for row in content["rows"] if row["column"] == "subject")
    title["row"] = attack
    content["create_conditions"] = [{"field": "title", "is": "not_equal", "value": "Lunch", "otherwise": attack}]
    other = tmp_path / "mapping.json"
    other.write_text(json.dumps(content), encoding="utf-8")
    await product.restart(MAPPING_FILE=str(other))
    await product.sync(MeetingScript(1).booked(title="Lunch"))
    request = await signed_in(product)
    token = await form_token(product, request)
    body = urlencode({"form": token, "delivery": MeetingScript(1).booked(title="Lunch").body.decode()}).encode()
    pages = [
        replace(request, page="meeting", query={"id": "1"}),
        replace(request, page="parked"),
        replace(request, page="preview", method="POST", body=body),
    ]
    for page in pages:
        html = (await product.runtime.console.show(page)).html
        assert "&lt;img" in html
        assert "<img" not in html


async def test_a_letter_that_names_no_meeting_leads_nowhere(product: Installation) -> None:
    """A message that is none of ours has no meeting to link to."""
    await product.runtime.carry_out(b"not ours")
    html = (await product.runtime.console.show(replace(await signed_in(product), page="deadletters"))).html
    assert "Send the event of unknown again" in html
    assert "meeting?id=unknown" not in html


async def test_dead_letters_that_go_together_say_so(product: Installation) -> None:
    """Who dismisses one event of a trace dismisses what else failed of it, and is told before."""
    await product.sync(MeetingScript(1).booked(startTime="nonsense"))
    request = replace(await signed_in(product), page="deadletters")
    assert "all of them go" not in (await product.runtime.console.show(request)).html
    trace = new_trace()
    for number in (2, 3):
        body = MeetingScript(number).booked(startTime="nonsense").body
        headers = {"outreach-webhook-signature": sign(body, SECRET)}
        await product.runtime.ingest.receive(body, headers=headers, trace=trace)
    await product.work()
    html = (await product.runtime.console.show(request)).html
    assert html.count("2 dead letters have its correlation id: all of them go.") == 2


async def test_lists_say_how_a_meeting_really_stands(product: Installation) -> None:
    """In what was found and among the parked too, only a meeting with a dead letter needs a person."""
    product.crm.plugins.registered.append(Plugin(message="No."))
    for number, title in ((1, "Demo one"), (2, "Demo two")):
        await product.sync(MeetingScript(number).booked(title=title))
    first, _ = await product.dead_letters()
    assert (await look_for(product, "demo o")).html.count(">Dead letter<") == 1
    await product.runtime.admin.dismiss(frozenset({first["correlationId"]}), reason="Deleted.", by="_master")
    assert (await look_for(product, "demo t")).html.count(">Dead letter<") == 0
    assert (await look_for(product, "demo o")).html.count(">Dead letter<") == 1


async def test_a_long_time_line_says_that_it_is_cut(product: Installation) -> None:
    """Only the last events are kept; whoever looks for an older one is told where it is."""
    script = MeetingScript(1)
    await product.sync(script.booked(), *(script.changed(title=f"Version {number}") for number in range(30)))
    request = replace(await signed_in(product), page="meeting", query={"id": "1"})
    assert "The last 25 are kept" in (await product.runtime.console.show(request)).html


async def test_fields_of_one_name_are_told_apart(product: Installation) -> None:
    """What each relationship, attribute and calendar says of its own has its own label."""
    await product.sync(MeetingScript(17, resource="calendarEvent", meeting=5).booked(status="confirmed"))
    request = replace(await signed_in(product), page="meeting", query={"id": "5"})
    told = (await product.runtime.console.show(request)).html
    for label in (
        "Prospect (relationship prospect)",
        "Prospect (relationship prospects)",
        "Owner (calendar event 17)",
        "Completed (attribute status, calendar event 17)",
    ):
        assert label in told
