"""Events that are no meeting webhooks, read into the same patches: which count, which meeting, what they say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import BadMapping, Unmappable
from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.delivery import Delivery, parse_delivery
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile
from shared.meeting.patch import Patch, accepts, read_patch
from shared.outreach.events import delivery_body
from tests.outreach.samples import event, mapping_with, recording, task

NOW = datetime(2026, 3, 3, tzinfo=UTC)
MEETING, CALENDAR_EVENT = MeetingKey("meeting", "5"), MeetingKey("calendarEvent", "17")


def read(body: dict[str, Any], mapping: MappingFile) -> Patch:
    return read_patch(parse_delivery(body), mapping=mapping, received_at=NOW)


def values(patch: Patch) -> dict[str, Any]:
    return {name: stamped.value for name, stamped in patch.fields.items()}


def counts(body: dict[str, Any], mapping: MappingFile) -> bool:
    return accepts(parse_delivery(body), mapping)


def of_event(name: str, payload: Any, **relations: int) -> dict[str, Any]:
    return delivery_body(event(9, name, payload, **relations))


@pytest.mark.parametrize("resource", ["event", "kaiaRecording", "task"])
def test_other_sources_are_off(resource: str) -> None:
    """Nothing but meetings and calendar events counts before an admin says so."""
    mapping = load_mapping(DEFAULT_MAPPING_FILE)
    assert set(mapping.resources) == {"meeting", "calendarEvent"}
    assert not accepts(Delivery(resource, "1", "created", {"sourceId": "17"}, {}, None), mapping)


@pytest.mark.parametrize("resource", ["meeting", "calendarEvent"])
def test_meeting_resources_take_every_action(resource: str) -> None:
    """What is a meeting itself counts, whatever happened to it."""
    mapping = load_mapping(DEFAULT_MAPPING_FILE)
    for action in ("created", "updated", "destroyed", "completed", "something"):
        assert accepts(Delivery(resource, "1", action, {}, {}, None), mapping)


def test_recording_says_that_a_meeting_was_held() -> None:
    """A recording completes the calendar event that it was made of, and says nothing else of it."""
    patch = read(recording(1), mapping_with("kaiaRecording"))
    assert patch.key == CALENDAR_EVENT
    assert patch.alias is None
    assert values(patch) == {"completed": True}
    assert patch.fields["completed"].stamp.changed == "2026-03-02T15:31:00.000000Z"


@pytest.mark.parametrize(
    "body",
    [recording(1, format_="call"), recording(1, action="updated"), recording(1, source="")],
    ids=["a call", "another action", "no source"],
)
def test_recordings_that_say_nothing(body: dict[str, Any]) -> None:
    """A recorded call, or one that names no calendar event, does not count."""
    assert not counts(body, mapping_with("kaiaRecording"))


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ({"data": {"type": "meeting", "id": 5}}, MEETING),
        ({"type": "meeting", "id": 5}, MEETING),
        ({"data": {"type": "calendarEvent", "id": "17"}}, CALENDAR_EVENT),
    ],
)
def test_task_about_a_meeting(subject: dict[str, Any], key: MeetingKey) -> None:
    """A task names its meeting; that is remembered, and nothing of the task is read as the meeting's."""
    mapping = mapping_with("task")
    body = task(2, "created", subject=subject, state="incomplete", dueAt="2026-03-05T10:00:00Z")
    assert counts(body, mapping)
    patch = read(body, mapping)
    assert (patch.key, patch.alias, values(patch)) == (key, MeetingKey("task", "2"), {})


@pytest.mark.parametrize(
    "subject",
    [
        {"data": {"type": "prospect", "id": 101}},
        {"data": {"type": "account", "id": 201}},
        {"type": "subject", "id": 5},  # flat, the type is the relationship's name: it may be anything
        {"data": None},
        None,
    ],
)
def test_tasks_about_others_are_left_out(subject: dict[str, Any] | None) -> None:
    """What is not clearly about a meeting is not taken for one."""
    mapping = mapping_with("task")
    assert not counts(task(2, "created", subject=subject, state="incomplete"), mapping)
    assert not counts(task(2, "updated", subject=subject, state="complete"), mapping)


def test_completed_task_as_recorded() -> None:
    """`task.completed` comes bare, so it counts for whatever meeting the task named before."""
    mapping = mapping_with("task")
    body = task(2, "completed")
    assert counts(body, mapping)
    patch = read(body, mapping)
    assert patch.unnamed
    assert (patch.key, patch.alias, values(patch)) == (MeetingKey("task", "2"), None, {"completed": True})


def test_deleted_task_does_not_delete_the_meeting() -> None:
    """An action that the rule does not list does not count."""
    subject = {"data": {"type": "meeting", "id": 5}}
    assert not counts(task(2, "destroyed", subject=subject), mapping_with("task"))


@pytest.mark.parametrize(
    "payload",
    [
        {"meeting_id": 5, "calendar_event_id": 17},
        {"meetingId": "5", "calendarEventId": "17"},
        {"meeting": {"id": 5}, "calendar_event": {"id": 17}},
        {"calendarEvent": {"id": 17, "attributes": {"meetingId": 5}}},
        '{"meeting_id": 5, "calendar_event_id": 17}',
    ],
    ids=["snake", "camel", "objects", "nested", "text"],
)
def test_event_names_its_meeting(payload: Any) -> None:
    """In whichever form the payload names meeting and calendar event, both are found."""
    patch = read(of_event("calendar_event_updated", payload), mapping_with("event"))
    assert (patch.key, patch.alias) == (MEETING, CALENDAR_EVENT)


def test_event_that_names_a_calendar_event_only() -> None:
    """Then the calendar event stands for the meeting, until somebody says which meeting it is."""
    patch = read(of_event("calendar_event_updated", {"calendar_event_id": 17}), mapping_with("event"))
    assert (patch.key, patch.alias) == (CALENDAR_EVENT, None)


@pytest.mark.parametrize("payload", [None, {}, "text", [], 5, {"id": 17}, {"calendar_event": "17"}, "[" * 9999])
def test_event_that_names_no_meeting(payload: Any) -> None:
    """An event without a clear id is left out: a guess could write into another meeting."""
    assert not counts(of_event("calendar_event_updated", payload), mapping_with("event"))


def test_event_payload_as_fields() -> None:
    """What the payload says of the calendar event is read by the same sources as a webhook."""
    payload = {
        "actor": {"id": 3},
        "calendar_event": {
            "id": 17,
            "title": "From the payload",
            "start_time": "2026-03-05T15:00:00Z",
            "end_time": "2026-03-05T15:30:00Z",
            "location": None,
            "prospect_ids": [101, 102],
            "user_id": 1,
            "is_organizer": True,
            "attendees": [{"email": "somebody@example.com"}],
            "updated_at": "2026-03-02T15:30:59Z",
        },
    }
    patch = read(of_event("calendar_event_created_inbound", payload, prospect=103, user=2), mapping_with("event"))
    assert values(patch) == {
        "title": "From the payload",
        "starts_at": "2026-03-05T15:00:00+00:00",
        "ends_at": "2026-03-05T15:30:00+00:00",
        "location": None,
        "prospects/prospects": [{"type": "prospect", "id": "101"}, {"type": "prospect", "id": "102"}],
        "owner@17": [{"type": "user", "id": "1"}],
        "is_organizer@17": True,
    }
    assert patch.fields["title"].stamp == ("2026-03-02T15:30:59.000000Z", "2026-03-02T15:31:00.000000Z")


def test_what_the_event_points_at_is_not_the_meetings() -> None:
    """The event's own prospect may be one of several, so it counts only where the mapping file asks for it."""
    body = of_event("calendar_event_updated", {"calendar_event_id": 17}, prospect=103)
    assert values(read(body, mapping_with("event"))) == {}
    delivery = parse_delivery(body)
    assert [reference.id for reference in delivery.relationships["eventProspect"]] == ["103"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("calendar_event_canceled", {"canceled@17": True}),
        ("meeting_held", {"completed": True, "no_show": False}),
        ("meeting_no_show", {"completed": False, "no_show": True}),
        ("calendar_event_created_outbound", {}),
    ],
)
def test_event_names_say_what_happened(name: str, said: dict[str, bool]) -> None:
    """The name of the event is enough to know that a meeting was held, missed or, by this calendar, called off."""
    assert values(read(of_event(name, {"calendar_event_id": 17}), mapping_with("event"))) == said


@pytest.mark.parametrize("name", ["calendar_event_attendee_declined", "mailbox_created", ""])
def test_events_of_other_names_are_left_out(name: str) -> None:
    """One attendee who declines does not call the meeting off."""
    assert not counts(of_event(name, {"calendar_event_id": 17}), mapping_with("event"))


def test_unreadable_values_of_an_event_hide_nothing() -> None:
    """A payload is read leniently: what cannot be a value is left out, the rest counts. A webhook's is refused."""
    payload = {"calendar_event_id": 17, "start_time": "tomorrow", "title": "Good", "updated_at": "yesterday"}
    body = of_event("calendar_event_canceled", payload)
    patch = read(body, mapping_with("event"))
    assert values(patch) == {"title": "Good", "canceled@17": True}
    assert patch.fields["title"].stamp.changed == "2026-03-02T15:31:00.000000Z"
    with pytest.raises(Unmappable):
        read(body, mapping_with("event", event={"lenient": False}))


@pytest.mark.parametrize("happened", ["9999-12-31T00:00:00Z", "2026-03-02T15:31:03Z", "soon", None])
def test_an_entry_tells_of_nothing_that_came_after_it(happened: str | None) -> None:
    """However often the entry is read, it counts from when it was made where its own time cannot be true."""
    record = event(9, "calendar_event_updated", {"calendar_event_id": 17, "title": "Good"})
    record["attributes"]["eventAt"] = happened
    assert record["attributes"]["createdAt"] == "2026-03-02T15:31:02.000Z"
    patch = read(delivery_body(record), mapping_with("event"))
    assert set(patch.fields["title"].stamp) == {"2026-03-02T15:31:02.000000Z"}


def test_admin_narrows_what_an_event_may_set() -> None:
    """`fields` says which fields may be read from a source."""
    payload = {"calendar_event_id": 17, "title": "Not this", "location": "This"}
    mapping = mapping_with("event", event={"fields": ["location"]})
    assert values(read(of_event("meeting_held", payload), mapping)) == {
        "location": "This",
        "completed": True,
        "no_show": False,
    }


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"key": []}, "where does it name its meeting"),
        ({"key": ["sourceId"]}, "does not say where the meeting is named"),
        ({"key": ["relationships.subject=meeting as"]}, "does not say where the meeting is named"),
        ({"when": ["format=meeting"]}, "is not a source"),
        ({"actions": {"created": {"complete": True}}}, "sets complete"),
        ({"actions": {"created": {"title": True}}}, "sets title"),
        ({"actions": {"created": {"completed": "yes please"}}}, "completed"),
        ({"fields": ["titel"]}, "has field titel"),
        ({"witness": False, "remembers": True}, "only a witness can remember"),
        ({"leninet": True}, "Extra inputs"),
    ],
)
def test_mistakes_in_a_rule_are_told(rule: dict[str, Any], problem: str) -> None:
    """A typing mistake in a resource's rule stops the start with a sentence that names it."""
    with pytest.raises(BadMapping, match=problem):
        mapping_with("kaiaRecording", kaiaRecording=rule)


def test_some_resource_must_be_a_meeting() -> None:
    """Witnesses alone make no meeting."""
    off = {"enabled": False}
    with pytest.raises(BadMapping, match="no enabled resource is a meeting"):
        mapping_with("task", "meeting", "calendarEvent", meeting=off, calendarEvent=off)


def test_what_is_switched_off_needs_not_fit() -> None:
    """A rule that is not in use stops nobody from changing the rows and signals that it names."""
    mapping = mapping_with("meeting", event={"fields": ["gone"]})
    assert "event" not in mapping.resources


def test_a_name_of_very_many_underscores() -> None:
    """A payload's names are read once, however odd: half a million underscores do not hold the worker."""
    record = {"id": 1, "attributes": {"payload": {"_" * 500_000: 1, "calendar__event_id": 17}}}
    assert delivery_body(record)["data"]["attributes"]["calendarEventId"] == 17
