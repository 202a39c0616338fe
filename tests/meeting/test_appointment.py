"""From merged fields to columns: every row of the default mapping, people, state and text.

All-day meetings have a module of their own.
"""

from __future__ import annotations

import itertools
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.appointment import Desired, Policy, collapse, creators, desired, fingerprint, references, value_of
from shared.meeting.delivery import Reference
from shared.meeting.mapping import LIFECYCLE_FIELDS, MappingFile
from shared.meeting.merge import Facts, Stamp, merge, one_text
from shared.meeting.people import CrmRecord, Party, Person, Role, is_address
from tests.samples import DEFAULT, guid, json_values, law, mapping_with, nobody, person, ref, stamped

FORBIDDEN = [chr(code) for code in (0, 1, 8, 11, 12, 14, 31, 0xFFFE, 0xFFFF)]
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati")


def want(
    values: dict[str, Any],
    *,
    mapping: MappingFile = DEFAULT,
    people: dict[Reference, Person] | None = None,
    policy: Policy | None = None,
) -> Desired:
    """The appointment for `values`; whoever is not in `people` is nobody in Dynamics."""
    everybody = nobody(references(values, mapping) | creators(values, mapping)) | (people or {})
    return desired(values, mapping=mapping, people=everybody, policy=policy or Policy())


def columns(values: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Its columns."""
    return dict(want(values, **others).columns)


class TestRows:
    @pytest.mark.parametrize(
        ("field", "value", "column", "expected"),
        [
            ("title", "Intro", "subject", "Intro"),
            ("title", None, "subject", None),
            ("description", "Line 1\nLine 2\t", "description", "Line 1\nLine 2\t"),
            ("location", "Room 1", "location", "Room 1"),
            ("is_all_day", True, "isalldayevent", True),
            ("is_all_day", None, "isalldayevent", None),
            ("starts_at", "2026-03-05T10:00:00+02:00", "scheduledstart", "2026-03-05T08:00:00Z"),
            ("starts_at", None, "scheduledstart", None),
            ("ends_at", "2026-03-05T10:00:00.999999+00:00", "scheduledend", "2026-03-05T10:00:00Z"),
        ],
    )
    def test_plain_rows(self, field: str, value: object, column: str, expected: object) -> None:
        """Each plain row writes its one column, times as UTC to the second, and null clears."""
        assert columns({field: value}) == {column: expected}

    def test_booked_date(self) -> None:
        """Booked Date goes to Created On, which is no column of updates."""
        found = want({"booked_at": "2026-03-01T10:00:00-08:00"})
        assert (found.created_on, found.columns) == ("2026-03-01T18:00:00Z", {})

    def test_booked_on_a_day(self) -> None:
        """A booking that names a day alone counts from its midnight in the configured zone."""
        policy = Policy(zone=ZoneInfo("Europe/Berlin"))
        assert want({"booked_at": "2026-03-01"}, policy=policy).created_on == "2026-02-28T23:00:00Z"

    @pytest.mark.parametrize("field", ["starts_at", "ends_at", "booked_at"])
    def test_day_that_no_calendar_has(self, field: str) -> None:
        """The first day there is begins, east of Greenwich, before the calendar does: the column stays as it is."""
        found = want({field: "0001-01-01", "title": "Intro"}, policy=Policy(zone=ZoneInfo("Europe/Berlin")))
        assert (found.columns, found.created_on, len(found.notes)) == ({"subject": "Intro"}, None, 1)

    @pytest.mark.parametrize("year", ["0001", "1752", "9999"])
    @pytest.mark.parametrize(("field", "other"), [("starts_at", "ends_at"), ("ends_at", "starts_at")])
    def test_a_time_that_dynamics_cannot_hold(self, field: str, other: str, year: str) -> None:
        """Both times stay as they are, so that none comes to lie on the wrong side of the other; a note says why."""
        times = {field: f"{year}-12-31T00:00:00+00:00", other: "2026-03-05T11:00:00+00:00"}
        found = want({**times, "title": "Intro"})
        assert found.columns == {"subject": "Intro"}
        assert "cannot hold such a time" in found.notes[0]

    def test_the_earliest_and_the_latest_time(self) -> None:
        """What Dynamics can hold is written."""
        times = {"starts_at": "1753-01-01T00:00:00+00:00", "ends_at": "9999-12-30T23:59:59+00:00"}
        assert columns(times) == {"scheduledstart": "1753-01-01T00:00:00Z", "scheduledend": "9999-12-30T23:59:59Z"}

    def test_booker(self) -> None:
        """The booker is whom the create is done for."""
        people = {Reference("user", "3"): person("systemuser")}
        assert want({"booker": [ref("user", 3)]}, people=people).created_by == guid(1)

    @pytest.mark.parametrize("booker", [ref("prospect", 3), ref("user", 3)])
    def test_booker_without_a_user(self, booker: dict[str, str]) -> None:
        """A prospect who booked by link, or a user whom Dynamics does not know, leaves a note and no impersonation."""
        people = {Reference("prospect", "3"): person("contact")}
        found = want({"booker": [booker]}, people=people)
        assert found.created_by is None
        assert len(found.notes) == 1
        assert "Booker" in found.notes[0]

    def test_owner(self) -> None:
        """The owner owns the appointment and is its organizer."""
        people = {Reference("user", "1"): person("systemuser")}
        found = want({"owner": [ref("user", 1)]}, people=people)
        organizer = Party(Role.ORGANIZER, CrmRecord("systemuser", guid(1)))
        assert (found.columns, found.organizer) == ({"ownerid": f"systemuser:{guid(1)}"}, organizer)
        assert found.new["appointment_activity_parties"] == [organizer]

    def test_unknown_owner(self) -> None:
        """An owner whom Dynamics does not know leaves the owner as it is, with a note."""
        found = want({"owner": [ref("user", 1)]})
        assert (found.columns, found.organizer, found.new) == ({}, None, {})
        assert found.notes == ("Owner: user 1 is no user in Dynamics.",)

    def test_end_before_start(self) -> None:
        """The times of a meeting that ends before it starts stay as they are; one without length has its own."""
        found = want({"starts_at": "2026-03-05T10:00:00+00:00", "ends_at": "2026-03-05T10:30:00+01:00"})
        assert (found.columns, len(found.notes)) == ({}, 1)
        assert columns({"starts_at": "2026-03-05T10:00:00+00:00", "ends_at": "2026-03-05T11:00:00+01:00"})

    def test_only_named_fields(self) -> None:
        """Of what no event named there is no column."""
        assert columns({}) == {}


class TestText:
    @pytest.mark.parametrize("letter", ["a", "ß", "会", "\U0001f389"])
    def test_limit_is_in_utf_16_units(self, letter: str) -> None:
        """A title has 200 UTF-16 units: an emoji counts two, and half of one is never left."""
        units = len(letter.encode("utf-16-le")) // 2
        fits, over = letter * (200 // units), letter * (200 // units + 1)
        assert columns({"title": fits})["subject"] == fits
        assert columns({"title": over})["subject"] == fits
        assert columns({"title": "x" + fits})["subject"] == "x" + letter * (199 // units)

    @law
    @given(st.text(min_size=90, max_size=260))
    def test_cut_text_is_a_prefix(self, text: str) -> None:
        """Whatever the text, the column holds as much of its beginning as fits, without what XML has no place for."""
        clean = "".join(letter for letter in text if letter not in FORBIDDEN)
        cut = columns({"title": text})["subject"]
        units = len(cut.encode("utf-16-le")) // 2
        assert units <= 200
        assert not set(cut) & set(FORBIDDEN)
        if cut != clean and not any(ord(letter) < ord(" ") for letter in text):
            assert clean.startswith(cut)
            assert units >= 199

    def test_a_note_tells_what_was_cut(self) -> None:
        """And only that."""
        assert want({"title": "x" * 200}).notes == ()
        assert want({"title": "x" * 201}).notes == ("Title: cut at 200 characters, where subject ends.",)

    @pytest.mark.parametrize("told", [{}, {"description": None}, {"description": "Agenda"}])
    def test_a_link_that_does_not_fit_stands_in_the_description(self, told: dict[str, Any]) -> None:
        """A link to a call that was cut would lead nowhere; the description has room for all of it."""
        link = "https://meet.example.com/j/" + "0123456789" * 20
        found = want({"location": f"Call: {link}", **told})
        assert len(found.columns["location"]) == 200
        assert found.columns["description"] == (f"Agenda\n\n{link}" if told.get("description") else link)
        assert found.notes[-1] == "A link that did not fit stands in the description."

    @pytest.mark.parametrize("letter", FORBIDDEN)
    def test_letters_without_a_place_in_xml(self, letter: str) -> None:
        """Control characters, which Dataverse refuses, are taken out; line breaks and tabs stay."""
        assert columns({"title": f"In{letter}tro\r\n\t"})["subject"] == "Intro\r\n\t"

    def test_control_characters_do_not_count(self) -> None:
        """The limit is that of what is left."""
        assert columns({"title": "\x00" * 50 + "x" * 200})["subject"] == "x" * 200

    def test_description_is_long(self) -> None:
        """A description has a limit of its own, more than a million units."""
        text = "\U0001f389" * 524_288
        assert columns({"description": text + "x"})["description"] == text


class TestState:
    @pytest.mark.parametrize("on_complete", ["complete", "ignore"])
    @pytest.mark.parametrize("on_cancel", ["ignore", "cancel"])
    def test_every_combination(
        self, on_complete: Literal["complete", "ignore"], on_cancel: Literal["ignore", "cancel"]
    ) -> None:
        """Held beats called off, each where its setting wants it; otherwise open, and nothing while nobody spoke."""
        policy = Policy(on_complete=on_complete, on_cancel=on_cancel)
        for flags in itertools.product((None, False, True, "absent"), repeat=len(LIFECYCLE_FIELDS)):
            said = {name: flag for name, flag in zip(LIFECYCLE_FIELDS, flags, strict=True) if flag != "absent"}
            true = {name for name, flag in said.items() if flag}
            expected: str | None = "open" if said else None
            if true & {"canceled", "declined", "destroyed"} and on_cancel == "cancel":
                expected = "canceled"
            if "completed" in true and on_complete == "complete":
                expected = "completed"
            assert columns(said, policy=policy).get("statecode") == expected, said

    def test_defaults(self) -> None:
        """By default a held meeting is completed, and one that was called off stays in Outreach only."""
        assert columns({"completed": True, "canceled": True})["statecode"] == "completed"
        assert [columns({name: True})["statecode"] for name in LIFECYCLE_FIELDS[1:]] == ["open"] * 3

    def test_no_show(self) -> None:
        """Nobody came: that alone neither completes nor cancels."""
        assert columns({"no_show": True}, policy=Policy(on_cancel="cancel")) == {}


def one_after_the_other(said: list[dict[str, Any]]) -> Facts:
    """What events said, merged; each came a second after the one before."""
    fields: Facts = {}
    for number, one in enumerate(said):
        stamp = Stamp(f"2026-03-02T12:00:{number:02}.000000Z", "")
        fields = merge(fields, stamped(one, stamp)).facts
    return fields


class TestCollapse:
    def test_meeting_alone(self) -> None:
        """What the meeting itself said stands as it is, without its stamps."""
        assert collapse(stamped({"title": "a", "owner": [ref("user", 1)]}), DEFAULT) == {
            "title": "a",
            "owner": [ref("user", 1)],
        }

    def test_organizer_speaks(self) -> None:
        """Of what was said at one time the organizer's calendar alone speaks, not guests nor the meeting itself."""
        fields = {
            "is_organizer@9": True,
            "canceled@9": False,
            "owner@9": [ref("user", 9)],
            "is_organizer@1": False,
            "canceled@1": True,
            "declined@1": True,
            "destroyed@1": True,
            "owner@1": [ref("user", 1)],
            "owner": [ref("user", 5)],
        }
        found = collapse(stamped(fields), DEFAULT)
        assert found == {"is_organizer": True, "canceled": False, "owner": [ref("user", 9)]}

    @pytest.mark.parametrize("field", ["canceled", "owner"])
    def test_meeting_that_spoke_later(self, field: str) -> None:
        """What the meeting itself said later than the organizer's calendar stands, and what it said before does not."""
        later = Stamp("2026-03-03T12:00:00.000000Z", "2026-03-03T12:00:00.000000Z")
        calendar = {"is_organizer@9": True, f"{field}@9": "calendar"}
        for first, then in (calendar, {field: "meeting"}), ({field: "meeting"}, calendar):
            said = {**stamped(first), **stamped(then, later)}
            assert collapse(said, DEFAULT)[field] == then.get(field, "calendar")

    def test_organizer_who_has_not_said(self) -> None:
        """Of what the organizer's calendar has not said, the meeting's own word stands, never a guest's."""
        fields = {"is_organizer@9": True, "owner@1": [ref("user", 1)], "canceled@1": True, "owner": [ref("user", 5)]}
        assert collapse(stamped(fields), DEFAULT) == {"is_organizer": True, "owner": [ref("user", 5)]}

    def test_no_organizer(self) -> None:
        """Without an organizer the meeting comes first, then the calendar event with the lowest number."""
        fields = {"owner@10": [ref("user", 10)], "owner@9": [ref("user", 9)]}
        assert collapse(stamped(fields), DEFAULT)["owner"] == [ref("user", 9)]
        assert collapse(stamped(fields | {"owner": []}), DEFAULT)["owner"] == []

    def test_two_organizers(self) -> None:
        """Where two calendars claim it, the one with the lowest number speaks first."""
        fields = {"is_organizer@10": True, "owner@10": [1], "is_organizer@9": True, "canceled@10": True}
        assert collapse(stamped(fields), DEFAULT) == {"is_organizer": True, "owner": [1], "canceled": True}

    def test_guests_only(self) -> None:
        """Calendars that all say that they are guests are heard, for want of another."""
        fields = {"is_organizer@9": False, "canceled@9": True}
        assert collapse(stamped(fields), DEFAULT) == {"is_organizer": False, "canceled": True}

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ([{"completed": True}, {"completed/status": False}], True),
            ([{"completed/state": True}, {"completed/status": False}], True),
            ([{"completed/state": True}, {"completed/state": False}], False),
            ([{"completed/state@9": True}, {"completed/state@10": False}], True),
            ([{"completed/state": True}, {"completed": False}], False),
            ([{"completed": False}, {"completed/state": True}], True),
            ([{"completed/state": True}, {"completed": None}], None),
            ([{"completed/state": False}], False),
            ([{"completed/state": True, "completed": False}], False),
        ],
        ids=str,
    )
    def test_words(self, said: list[dict[str, Any]], expected: object) -> None:
        """Another word takes back what the same attribute of the same record said; a flag takes back everything."""
        assert collapse(one_after_the_other(said), DEFAULT)["completed"] is expected

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ([{"canceled@9": True}, {"canceled/status": False}], True),
            ([{"canceled": True}, {"canceled/status@9": False}], True),
            ([{"canceled@9": False}, {"canceled/status": True}], True),
            (
                [{"canceled": True}, {"canceled/status@9": True}, {"canceled/status@9": False}, {"canceled": False}],
                False,
            ),
            ([{"canceled/status@9": True}, {"canceled/status@10": False, "canceled/status": False}], True),
            ([{"canceled/status@10": True}], None),
            ([{"canceled/status": False}], False),
        ],
        ids=str,
    )
    def test_words_of_calendars(self, said: list[dict[str, Any]], expected: object) -> None:
        """Another word takes back neither what the meeting itself said nor what the organizer's calendar said."""
        fields = one_after_the_other([{"is_organizer@9": True, "is_organizer@10": False}, *said])
        assert collapse(fields, DEFAULT).get("canceled") is expected

    @law
    @given(
        st.dictionaries(
            st.tuples(
                st.sampled_from(
                    ["owner", "canceled", "canceled/state", "completed", "completed/state", "is_organizer"]
                ),
                st.sampled_from(["", "@9", "@10", "@a@b"]),
            ),
            st.booleans(),
        ),
        st.data(),
    )
    def test_order_of_fields_does_not_matter(self, said: dict[tuple[str, str], bool], data: st.DataObject) -> None:
        """The result does not depend on the order in which the fields came to stand."""
        fields = stamped({"".join(name): value for name, value in said.items()})
        shuffled = dict(data.draw(st.permutations(list(fields.items()))))
        assert collapse(fields, DEFAULT) == collapse(shuffled, DEFAULT)


class TestPeople:
    prospects = (ref("prospect", 2), ref("prospect", 1))

    def test_attendees(self) -> None:
        """Attendees are a sorted list, contacts before leads where somebody is both."""
        people = {
            Reference("prospect", "1"): person("lead", number=11),
            Reference("prospect", "2"): Person((CrmRecord("lead", guid(21)), CrmRecord("contact", guid(22)))),
        }
        found = columns({"prospects": list(self.prospects)}, people=people)
        assert list(map(str, found["appointment_activity_parties"])) == [f"5:contact:{guid(22)}", f"5:lead:{guid(11)}"]

    def test_preference_for_leads(self) -> None:
        """The mapping file may prefer leads."""
        mapping = mapping_with(attendees={"order": ["lead", "contact"], "unresolved": "skip"})
        people = {Reference("prospect", "1"): person("contact", "lead")}
        found = columns({"prospects": [ref("prospect", 1)]}, mapping=mapping, people=people)
        assert list(map(str, found["appointment_activity_parties"])) == [f"5:lead:{guid(1)}"]

    def test_by_address(self) -> None:
        """Somebody without a record comes by address, in lower case, with a note that does not hold the address."""
        people = {Reference("prospect", "1"): person(email="Prospect.One@Example.com")}
        found = want({"prospects": [ref("prospect", 1)]}, people=people)
        assert list(map(str, found.columns["appointment_activity_parties"])) == ["5:address:prospect.one@example.com"]
        assert len(found.notes) == 1
        assert "example.com" not in found.notes[0]

    @pytest.mark.parametrize("email", [None, "", "nobody", "a@b", "a@example.com\r\nBcc: b@example.com"])
    def test_left_out(self, email: str | None) -> None:
        """Somebody without a record and without a sound address is left out, with a note."""
        found = want({"prospects": [ref("prospect", 1)]}, people={Reference("prospect", "1"): person(email=email)})
        assert list(map(str, found.columns["appointment_activity_parties"])) == []
        assert found.notes == ("prospect 1 is nobody in Dynamics; left out.",)

    def test_who_is_nobody_is_told(self) -> None:
        """Who is nobody in Dynamics is reported, invited by address or left out; they may be somebody soon."""
        people = {
            Reference("prospect", "1"): person(email="one@example.com"),
            Reference("prospect", "2"): person("lead"),
        }
        assert want({"prospects": list(self.prospects)}, people=people).unresolved == {Reference("prospect", "1")}

    def test_skip(self) -> None:
        """The mapping file may leave out whoever has no record."""
        mapping = mapping_with(attendees={"unresolved": "skip"})
        people = {Reference("prospect", "1"): person(email="one@example.com")}
        found = columns({"prospects": [ref("prospect", 1)]}, mapping=mapping, people=people)
        assert list(map(str, found["appointment_activity_parties"])) == []

    def test_two_prospects_who_are_one_person(self) -> None:
        """Two prospects with the same contact are one attendee."""
        people = {Reference("prospect", number): person("contact") for number in "12"}
        found = columns({"prospects": list(self.prospects)}, people=people)
        assert list(map(str, found["appointment_activity_parties"])) == [f"5:contact:{guid(1)}"]

    def test_regarding_the_opportunity(self) -> None:
        """The appointment is about the opportunity, whoever attends."""
        people = {
            Reference("prospect", "1"): person("contact"),
            Reference("opportunity", "4"): person("opportunity", number=4),
        }
        values = {"prospects": [ref("prospect", 1)], "opportunity": [ref("opportunity", 4)]}
        assert columns(values, people=people)["regardingobjectid"] == f"opportunity:{guid(4)}"

    @pytest.mark.parametrize("opportunity", [{}, {"opportunity": []}, {"opportunity": [ref("opportunity", 4)]}])
    def test_regarding_an_attendee(self, opportunity: dict[str, Any]) -> None:
        """Without an opportunity, or with an unknown one, it is about the first attendee named who has a record."""
        people = {
            Reference("prospect", "3"): person(email="three@example.com"),
            Reference("prospect", "2"): person("lead", number=2),
            Reference("prospect", "1"): person("contact"),
        }
        values = {"prospects": [ref("prospect", 3), *self.prospects]} | opportunity
        assert columns(values, people=people)["regardingobjectid"] == f"lead:{guid(2)}"

    def test_regarding_nobody(self) -> None:
        """An opportunity that was taken away, with nobody there instead, clears the column."""
        assert columns({"opportunity": []}) == {"regardingobjectid": None}

    def test_regarding_somebody_who_no_longer_attends(self) -> None:
        """Where the attendees were named and none of them has a record, the one before does not stay in the column."""
        people = {Reference("prospect", "2"): person(email="two@example.com")}
        assert columns({"prospects": [ref("prospect", 2)]}, people=people)["regardingobjectid"] is None

    def test_references(self) -> None:
        """Exactly the records that the rows need are looked up, each once."""
        values = {
            "prospects": list(self.prospects),
            "owner": [ref("user", 1)],
            "booker": [ref("user", 1)],
            "opportunity": None,
            "title": "Intro",
        }
        wanted = {Reference("prospect", "1"), Reference("prospect", "2"), Reference("user", "1")}
        assert references(values, DEFAULT) == wanted

    @pytest.mark.parametrize(
        "address", ["a@example.com", "a.b+c@sub.example.co", "o'hara@example.com", "größe@exämple.com"]
    )
    def test_address(self, address: str) -> None:
        """Ordinary addresses are addresses, letters outside ASCII included."""
        assert is_address(address)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "a",
            "a@b",
            "@example.com",
            "a@@example.com",
            "a@example.com ",
            "a b@example.com",
            "a@example.com\n",
            "<a@example.com>",
            "a@example.com,b@example.com",
            "a:b@example.com",
            "a@.com",
            f"{'a' * 310}@example.com",
        ],
    )
    def test_no_address(self, text: str) -> None:
        """Lists, names in brackets, line breaks and over-long texts are none."""
        assert not is_address(text)


_instants = st.one_of(
    st.dates().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    st.sampled_from(["0001-01-01", "9999-12-31", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+00:00"]),
)
_references = st.lists(
    st.builds(ref, st.sampled_from(["user", "prospect", "opportunity"]), st.integers(1, 3)), max_size=3
)
_by_kind: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(),
    "flag": st.booleans(),
    "instant": _instants,
    "user": _references,
    "prospect": _references,
    "opportunity": _references,
}
_people = st.builds(
    Person,
    st.lists(
        st.builds(CrmRecord, st.sampled_from(["contact", "lead", "systemuser", "opportunity"]), st.just(guid(1)))
    ).map(tuple),
    st.none() | st.emails() | st.text(),
)


@law
@given(st.data(), st.sampled_from(ZONES))
def test_any_fields_are_an_appointment(data: st.DataObject, zone: str) -> None:
    """Whatever was merged, it becomes columns of known names, with times in order that Dynamics can hold."""
    names = {f"{item.field}{of}": item.kind for item in DEFAULT.inputs for of in ("", "@1", "@2")}
    strategies = {name: st.none() | _by_kind[kind] for name, kind in names.items()}
    values = collapse(stamped(data.draw(st.fixed_dictionaries({}, optional=strategies))), DEFAULT)
    wanted = references(values, DEFAULT) | creators(values, DEFAULT)
    people = {reference: data.draw(_people) for reference in sorted(wanted)}
    policy = Policy(on_cancel="cancel", zone=ZoneInfo(zone))
    found = desired(values, mapping=DEFAULT, people=people, policy=policy)
    start, end = (found.columns.get(name) for name in ("scheduledstart", "scheduledend"))
    assert all("1753-01-01" <= time < "9999-12-31" for time in (start, end, found.created_on) if time)
    assert not (start and end) or start <= end
    assert set(found.columns) <= {row.column for row in DEFAULT.rows} | {"statecode"}
    again = desired(values, mapping=DEFAULT, people=people, policy=policy)
    assert found == again


@law
@given(json_values, json_values)
def test_fingerprints_are_equal_exactly_for_equal_values(one: object, other: object) -> None:
    """Two values have one fingerprint exactly when they are the same JSON."""
    assert (fingerprint(one) == fingerprint(other)) == (one_text(one) == one_text(other))


def test_fingerprint_of_a_long_text() -> None:
    """A long text is remembered by a digest: short, no text of it, and different for a different end."""
    one, other = fingerprint("secret " * 1000), fingerprint("secret " * 1000 + "x")
    assert one != other
    assert len(one) < 100
    assert "secret" not in one


def test_who_made_it_counts_with_the_create_only() -> None:
    """An update looks nobody up for Created By, and names nobody."""
    values = {"booker": [ref("user", 2)], "owner": [ref("user", 1)]}
    found = desired(values, mapping=DEFAULT, people=nobody(references(values, DEFAULT)), policy=Policy())
    assert (found.created_by, [note for note in found.notes if "Booker" in note]) == (None, [])


def test_the_value_that_feeds_a_column() -> None:
    """By the row that writes the column; nothing where no row does or no event has named it."""
    assert value_of("subject", {"title": "Intro"}, DEFAULT) == "Intro"
    assert value_of("subject", {}, DEFAULT) is None
    assert value_of("nothing", {"title": "Intro"}, DEFAULT) is None


@pytest.mark.parametrize(
    ("booked", "now", "created"),
    [
        ("2026-03-02T09:00:00Z", "2026-03-02T10:00:00.123456Z", "2026-03-02T09:00:00Z"),
        ("2026-03-02T11:00:00Z", "2026-03-02T10:00:00.123456Z", "2026-03-02T10:00:00Z"),
        ("2026-03-02T11:00:00Z", "", "2026-03-02T11:00:00Z"),
        (None, "2026-03-02T10:00:00.123456Z", None),
    ],
)
def test_nothing_is_created_in_the_future(booked: str | None, now: str, created: str | None) -> None:
    """A booked date that is still to come becomes the arrival of the event, where that is known, with a note."""
    want = Desired({}, created_on=booked)
    found = want.created_by_then(now)
    assert (found.created_on, len(found.notes)) == (created, int(created != booked))
