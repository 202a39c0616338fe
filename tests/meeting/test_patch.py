"""From a delivery to a patch: sources, aliases, stamps, and the witnesses of the default mapping."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Unmappable
from shared.meeting.appointment import collapse
from shared.meeting.delivery import Delivery, parse_delivery
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile, parse_mapping
from shared.meeting.merge import Facts, merge
from shared.meeting.patch import Patch, accepts, read_patch, why_not
from shared.meeting.stamps import MAX_CLOCK_AHEAD
from shared.timestamps import sortable
from tests.samples import DEFAULT, RECEIVED, default_content, delivery, everything_enabled, json_values, law, ref

EVERYTHING = everything_enabled()
EARLY, LATE = "2026-03-02T03:00:00Z", "2026-03-02T04:00:00Z"


def patch(one: Delivery, mapping: MappingFile = DEFAULT) -> Patch:
    """The patch in `one`."""
    return read_patch(one, mapping=mapping, received_at=RECEIVED)


def values(one: Delivery, mapping: MappingFile = DEFAULT) -> dict[str, Any]:
    """The values that `one` sets, as the mapping sees them."""
    return collapse(patch(one, mapping).fields, mapping)


def of_attributes(**attributes: Any) -> dict[str, Any]:
    """The values that these attributes set."""
    return values(delivery(attributes=attributes))


def with_signal(kind: str, *sources: str) -> MappingFile:
    """The default mapping with one more signal, `extra`."""
    content = default_content()
    content["signals"].append({"field": "extra", "kind": kind, "sources": list(sources)})
    return parse_mapping(content, origin="test")


@pytest.mark.parametrize(
    ("source", "attributes", "expected"),
    [
        ("attributes.x", {"x": True}, True),
        ("attributes.x", {"x": "False"}, False),
        ("attributes.x", {"x": 1}, True),
        ("attributes.x", {"x": None}, None),
        ("attributes.x?", {"x": "2026-01-01"}, True),
        ("attributes.x?", {"x": 0}, True),
        ("attributes.x?", {"x": None}, False),
        ("attributes.x?", {"x": ""}, False),
        ("attributes.x=held|Done", {"x": "HELD"}, True),
        ("attributes.x=held|Done", {"x": "done"}, True),
        ("attributes.x=held|Done", {"x": "open"}, False),
        ("attributes.x=held|Done", {"x": None}, False),
        ("action=updated", {}, True),
    ],
)
def test_each_form_of_a_source(source: str, attributes: dict[str, Any], expected: object) -> None:
    """A value itself, its presence, one of several words, and the event's own name."""
    assert values(delivery(attributes=attributes), with_signal("flag", source))["extra"] is expected


@pytest.mark.parametrize("source", ["attributes.x", "attributes.x?", "attributes.x=held", "action=held"])
def test_absent_source_says_nothing(source: str) -> None:
    """A source that the delivery does not have leaves the field unnamed."""
    assert "extra" not in values(delivery(attributes={"title": "Intro"}), with_signal("flag", source))


@pytest.mark.parametrize("item", DEFAULT.inputs, ids=lambda item: str(item.field))
def test_every_alias_is_read(item: Any) -> None:
    """Each source of the default mapping sets its field when it is the only one there."""
    plain = {"text": "some text", "flag": True, "instant": "2026-03-05T10:00:00+00:00"}
    for source in item.sources:
        attributes: dict[str, Any] = {}
        relationships: dict[str, Any] = {}
        action = "updated"
        expected: Any = plain.get(item.kind)
        if source.place == "action":
            action = source.name
        elif source.place == "relationships":
            relationships[source.name] = {"type": source.name, "id": 7}
            expected = [ref(item.kind, 7)]
        else:
            attributes[source.name] = source.equals[0] if source.equals else expected
        found = values(delivery(action=action, attributes=attributes, relationships=relationships))
        assert found[item.field] == expected, source


def test_first_source_wins() -> None:
    """Of several aliases in one delivery the first in the file counts, null included."""
    assert of_attributes(name="Third", title="First", subject="Second")["title"] == "First"
    assert of_attributes(name="Third", title=None)["title"] is None


def test_alias_of_a_wrong_type_is_passed_over() -> None:
    """The names are guesses: where one holds something else, the next is read."""
    assert of_attributes(title={"rich": "text"}, subject="Plain")["title"] == "Plain"


@pytest.mark.parametrize(
    "attributes",
    [
        {"title": ["a"]},
        {"title": True},
        {"title": float("inf")},
        {"title": float("-inf")},
        {"startTime": 5},
        {"startTime": "soon"},
        {"allDay": "perhaps"},
        {"allDay": 2},
    ],
)
def test_wrong_type_is_unmappable(attributes: dict[str, Any]) -> None:
    """A column's value of the wrong type is refused with the field's name."""
    with pytest.raises(Unmappable) as caught:
        of_attributes(**attributes)
    assert caught.value.code == "wrong_type"


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+00:00"),
        ("0000-00-00T00:00:00Z", "0001-01-01T00:00:00+00:00"),
        ("-0044-03-15", "0001-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59+00:00"),
        ("+275760-09-13T00:00:00.000Z", "9999-12-31T23:59:59+00:00"),
        ("10000-01-01", "9999-12-31T23:59:59+00:00"),
    ],
)
def test_a_time_that_no_calendar_has_costs_nothing_else(told: str, read: str) -> None:
    """It stands as the nearest one that there is, which no appointment can have either; the rest counts."""
    assert of_attributes(startTime=told, title="Intro") == {"starts_at": read, "title": "Intro"}


def test_signal_of_a_wrong_type_says_nothing() -> None:
    """A signal is a hint: what cannot be a flag is not one, and costs nothing."""
    assert of_attributes(noShow="perhaps", title="Intro") == {"title": "Intro"}


def test_unreadable_relationship_matters_only_where_it_is_read() -> None:
    """A form that nobody knows is an error for a row that reads it, and none for a name that nobody reads."""
    assert values(delivery(relationships={"calendar": {"id": True}})) == {}
    with pytest.raises(Unmappable):
        values(delivery(relationships={"prospect": {"id": True}}))


def test_attendees_come_from_all_sources() -> None:
    """One prospect and the list of all of them are read together, each person once, the one before the list."""
    both = {
        "prospect": {"type": "prospect", "id": 2},
        "prospects": [{"type": "prospect", "id": "1"}, {"type": "prospects", "id": 2}],
    }
    assert values(delivery(relationships=both))["prospects"] == [ref("prospect", 2), ref("prospect", 1)]


def test_a_relationship_that_is_not_named_is_unchanged() -> None:
    """One prospect named alone takes nobody off the list of all; a new list of all stands alone."""
    booked = delivery(relationships={"prospect": {"id": 1}, "prospects": [{"id": 1}, {"id": 2}]}, delivered_at=EARLY)
    swapped = delivery(relationships={"prospect": {"id": 3}}, delivered_at=LATE)
    shortened = delivery(relationships={"prospects": [{"id": 2}]}, delivered_at=LATE)
    for later, left in ((swapped, (3, 1, 2)), (shortened, (2,))):
        merged = merge(patch(booked).fields, patch(later).fields)
        assert collapse(merged.facts, DEFAULT)["prospects"] == [ref("prospect", number) for number in left]


def test_another_order_of_prospects_is_no_news() -> None:
    """A relationship is a set: who stands first in it must not decide what the appointment is about."""
    told = [{"type": "prospect", "id": number} for number in (9, 10, 101)]
    orders = [told, told[::-1], told[1:] + told[:1]]
    said = [values(delivery(relationships={"prospects": one}))["prospects"] for one in orders]
    assert said == [[ref("prospect", number) for number in (9, 10, 101)]] * 3


@law
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["meeting", "calendarEvent"]),
            st.sampled_from(["updated", "completed", "canceled"]),
            st.dictionaries(
                st.sampled_from(["state", "status", "completed", "canceled", "isOrganizer"]),
                st.sampled_from(["completed", "canceled", "confirmed", True, False, None]),
                max_size=3,
            ),
            st.sampled_from([EARLY, LATE]),
        ),
        max_size=5,
    ),
    st.data(),
)
def test_words_in_any_order(said: list[tuple[str, str, dict[str, Any], str]], data: st.DataObject) -> None:
    """Whatever words and flags records hold, the order in which their events arrive, and repeats, change nothing."""
    told = [
        patch(
            delivery(
                resource,
                action=action,
                attributes=attributes,
                relationships={"meeting": {"type": "meeting", "id": 5}},
                delivered_at=moment,
            )
        ).fields
        for resource, action, attributes, moment in said
    ]
    again = data.draw(st.permutations(told + told[:2]))
    nothing: Facts = {}
    one, other = (reduce(lambda known, new: merge(known, new).facts, order, nothing) for order in (told, again))
    assert collapse(one, DEFAULT) == collapse(other, DEFAULT)


def test_several_sources_of_one_attribute() -> None:
    """A word that any of them knows is enough."""
    mapping = with_signal("flag", "attributes.x=held", "attributes.x=done")
    assert [values(delivery(attributes={"x": word}), mapping)["extra"] for word in ("held", "done")] == [True, True]


def test_owner_comes_from_the_first_source() -> None:
    """A relationship with one target is read from the first name alone."""
    both = {"user": {"type": "user", "id": 2}, "owner": {"type": "owner", "id": 1}}
    assert values(delivery(relationships=both)) == {"owner": [ref("user", 1)]}


@pytest.mark.parametrize(
    ("attributes", "reference", "kind"),
    [
        ({}, {"type": "booker", "id": 3}, "user"),
        ({}, {"data": {"type": "prospect", "id": 3}}, "prospect"),
        ({"bookerType": "Prospect"}, {"type": "booker", "id": 3}, "prospect"),
        ({"bookerType": "User"}, {"type": "booker", "id": 3}, "user"),
        ({"bookerType": "Robot"}, {"type": "booker", "id": 3}, "user"),
    ],
)
def test_who_the_booker_is(attributes: dict[str, Any], reference: dict[str, Any], kind: str) -> None:
    """A booker is what the reference says, else what `bookerType` says, else a user."""
    found = values(delivery(attributes=attributes, relationships={"booker": reference}))
    assert found["booker"] == [ref(kind, 3)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05", "2026-01-05"),
        ("2026-01-05T09:00:00Z", "2026-01-05T09:00:00+00:00"),
        ("2026-01-05T09:00:00.250+02:00", "2026-01-05T09:00:00.250000+02:00"),
        ("2026-01-05T09:00:00", "2026-01-05T09:00:00+00:00"),
        (" 2026-01-05 09:00 ", "2026-01-05T09:00:00+00:00"),
        ("", None),
        (None, None),
    ],
)
def test_instants(text: str | None, expected: str | None) -> None:
    """A day stays a day, an instant keeps its offset, without one it is UTC, and nothing clears."""
    assert of_attributes(startTime=text)["starts_at"] == expected


def test_absent_is_not_null() -> None:
    """Only what the delivery names is in the patch; null and an empty relationship clear."""
    assert values(delivery(attributes={"title": None}, relationships={"prospects": {"data": []}})) == {
        "title": None,
        "prospects": [],
    }
    assert values(delivery(attributes={}, relationships={"prospect": {"links": {}}})) == {}


def test_one_stamp_for_the_whole_event() -> None:
    """Every field of one event has the same stamp, those that its action sets included."""
    one = delivery(
        "event",
        action="meeting_held",
        attributes={"meetingId": 5, "title": "a"},
        delivered_at="2026-03-02T03:00:00Z",
    )
    assert len({field.stamp for field in patch(one, EVERYTHING).fields.values()}) == 1


class TestKeys:
    def test_meeting_is_its_own_key(self) -> None:
        """A meeting is known by its id, and speaks for the meeting itself."""
        found = patch(delivery(relationships={"owner": {"id": 1}}))
        assert (found.key, found.alias, set(found.fields)) == (MeetingKey("meeting", "5"), None, {"owner"})

    def test_calendar_event_of_a_meeting(self) -> None:
        """A calendar event that names its meeting is a copy of it; what each calendar has is kept apart."""
        one = delivery(
            "calendarEvent",
            17,
            action="destroyed",
            attributes={"title": "a", "isOrganizer": False},
            relationships={"meeting": {"type": "meeting", "id": 5}, "user": {"id": 1}},
        )
        found = patch(one)
        assert (found.key, found.alias) == (MeetingKey("meeting", "5"), MeetingKey("calendarEvent", "17"))
        assert set(found.fields) == {"title", "owner@17", "is_organizer@17", "destroyed@17"}

    def test_calendar_event_alone(self) -> None:
        """A calendar event that names no meeting is the meeting, under the same names."""
        found = patch(delivery("calendarEvent", 17, relationships={"user": {"id": 1}}))
        assert (found.key, found.alias) == (MeetingKey("calendarEvent", "17"), None)
        assert set(found.fields) == {"owner@17"}


class TestWitnesses:
    def test_disabled_by_default(self) -> None:
        """No witness counts until somebody enables it."""
        for one in (recording(), task(), entry("meeting_held", meetingId=5)):
            assert not accepts(one, DEFAULT)
            assert accepts(one, EVERYTHING)

    def test_unknown_resource(self) -> None:
        """A resource that the file does not have never counts."""
        assert not accepts(delivery("prospect", 1), EVERYTHING)

    def test_recording(self) -> None:
        """A recording completes the meeting of its calendar event, and its own fields say nothing."""
        found = patch(recording(), EVERYTHING)
        assert (found.key, found.alias, found.unnamed) == (MeetingKey("calendarEvent", "17"), None, False)
        assert {name: one.value for name, one in found.fields.items()} == {"completed": True}

    @pytest.mark.parametrize(
        "change", [{"format": "call"}, {"format": None}, {"sourceId": None}, {"sourceId": " "}, {"sourceId": True}]
    )
    def test_recording_of_something_else(self, change: dict[str, Any]) -> None:
        """A recording of a call, or one that names nothing, does not count."""
        assert not accepts(recording(**change), EVERYTHING)
        assert not accepts(delivery("kaiaRecording", 1, action="created", attributes={"sourceId": "17"}), EVERYTHING)

    def test_recording_with_another_action(self) -> None:
        """Only the actions that the file lists count."""
        assert not accepts(recording(action="updated"), EVERYTHING)

    @pytest.mark.parametrize(("kind", "number"), [("meeting", 5), ("calendarEvent", 17)])
    def test_task_of_a_meeting(self, kind: str, number: int) -> None:
        """A task about a meeting or a calendar event is remembered as its copy."""
        found = patch(task(subject={"data": {"type": kind, "id": number}}), EVERYTHING)
        assert (found.key, found.alias) == (MeetingKey(kind, str(number)), MeetingKey("task", "2"))
        assert {name: one.value for name, one in found.fields.items()} == {"completed": True}

    def test_task_that_names_nobody(self) -> None:
        """`task.completed` comes without its subject: it counts, for whoever remembers the task."""
        one = task(subject=None)
        found = patch(one, EVERYTHING)
        assert accepts(one, EVERYTHING)
        assert (found.key, found.alias, found.unnamed) == (MeetingKey("task", "2"), None, True)

    def test_task_that_has_nothing_to_say(self) -> None:
        """A task that names nobody and was not completed does not count; nor does one about a person."""
        assert not accepts(task(subject=None, action="updated"), EVERYTHING)
        assert not accepts(task(subject={"type": "prospect", "id": 1}, action="created"), EVERYTHING)

    @pytest.mark.parametrize(
        ("name", "flags"),
        [
            ("calendar_event_updated", {}),
            ("calendar_event_canceled", {"canceled": True}),
            ("meeting_held", {"completed": True, "no_show": False}),
            ("meeting_no_show", {"completed": False, "no_show": True}),
        ],
    )
    def test_entries_of_the_events_api(self, name: str, flags: dict[str, bool]) -> None:
        """An entry says what its name says, of the meeting that it names."""
        found = patch(entry(name, meetingId=5), EVERYTHING)
        assert found.key == MeetingKey("meeting", "5")
        assert {field: one.value for field, one in found.fields.items()} == flags

    def test_entry_with_both_ids(self) -> None:
        """Where an entry names both, the meeting is the key and the calendar event its copy and its calendar."""
        one = entry("calendar_event_updated", meetingId=5, calendarEventId=17, isOrganizer=True, title="a")
        found = patch(one, EVERYTHING)
        assert (found.key, found.alias) == (MeetingKey("meeting", "5"), MeetingKey("calendarEvent", "17"))
        assert set(found.fields) == {"title", "is_organizer@17"}

    def test_entry_is_read_leniently(self) -> None:
        """In an undocumented payload a value of the wrong type is left out, and the rest counts."""
        found = patch(entry("calendar_event_updated", meetingId=5, startTime="soon", title="a"), EVERYTHING)
        assert set(found.fields) == {"title"}


def recording(action: str = "created", **change: Any) -> Delivery:
    """A recording of a meeting."""
    attributes = {"sourceId": "17", "format": "meeting", "title": "Recorded", "startTime": "2026-03-02T09:00:00Z"}
    return delivery("kaiaRecording", 1, action=action, attributes=attributes | change)


def task(subject: object = "meeting", action: str = "completed") -> Delivery:
    """A task; by default about meeting 5."""
    about = {"data": {"type": "meeting", "id": 5}} if subject == "meeting" else subject
    return delivery("task", 2, action=action, relationships={"subject": about} if about else None)


def entry(name: str, **attributes: Any) -> Delivery:
    """An entry of the events API, as `events.py` makes it."""
    return delivery("event", 9, action=name, attributes=attributes)


_names = sorted(
    {source.name for item in DEFAULT.inputs for source in item.sources}
    | {"updatedAt", "meetingId", "sourceId", "subject", "meeting", "format"}
)
_times = st.sampled_from(
    ["2026-01-05", "0001-01-01", "9999-12-31", "2026-01-05T10:00:00+14:00", "9999-12-31T23:59:59-12:00"]
)


@law
@given(
    st.sampled_from(sorted(EVERYTHING.resources)),
    st.sampled_from(["created", "updated", "completed", "destroyed", "meeting_held", "calendar_event_canceled"]),
    st.dictionaries(st.sampled_from(_names), json_values | _times | st.sampled_from(["meeting", 17, True]), max_size=8),
    st.dictionaries(st.sampled_from(_names), json_values | st.builds(dict, id=st.integers(1, 3)), max_size=4),
    st.none() | _times,
)
def test_anything_is_a_patch_or_unmappable(
    resource: str, action: str, attributes: dict[str, Any], relationships: dict[str, Any], delivered_at: str | None
) -> None:
    """Whatever a delivery holds, reading it gives a patch with sortable stamps or an `Unmappable`."""
    one = parse_delivery(
        {
            "data": {"type": resource, "id": 1, "attributes": attributes, "relationships": relationships},
            "meta": {"eventName": f"{resource}.{action}", "deliveredAt": delivered_at},
        }
    )
    try:
        found = patch(one, EVERYTHING)
    except Unmappable as error:
        assert error.reason
        return
    for stamped in found.fields.values():
        assert len(stamped.stamp.changed) == len(stamped.stamp.delivered) == len("2026-03-02T12:00:00.000000Z")
        assert max(stamped.stamp) <= sortable(RECEIVED + MAX_CLOCK_AHEAD)


@pytest.mark.parametrize(
    ("resource", "action", "reason"),
    [
        ("meeting", "odd", "does not count such an event"),
        ("task", "updated", "is not enabled"),
        ("account", "updated", "has no resource account; it has meeting"),
    ],
)
def test_why_an_event_does_not_count(resource: str, action: str, reason: str) -> None:
    """The place in the mapping file."""
    content = default_content()
    content["resources"]["meeting"]["actions"] = {"created": {}}
    mapping, event = parse_mapping(content, origin="test"), delivery(resource, action=action)
    assert not accepts(event, mapping)
    assert reason in why_not(event, mapping)
