"""The mapping file: the default loads, and every mistake is reported with its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from shared.errors import BadMapping
from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.mapping import MappingFile, parse_mapping
from tests.samples import DEFAULT, default_content, json_values, law

Change = Callable[[dict[str, Any]], object]

# The table of Outreach's help article.
TABLE = {
    "Booked Date": "overriddencreatedon",
    "Booker": "createdby",
    "Title": "subject",
    "Description": "description",
    "Location": "location",
    "Is All Day?": "isalldayevent",
    "Start Time": "scheduledstart",
    "End Time": "scheduledend",
    "Prospect": "appointment_activity_parties",
    "Owner": "ownerid",
    "Opportunity": "regardingobjectid",
}


def problems(content: object) -> tuple[str, ...]:
    """What is wrong with `content`."""
    with pytest.raises(BadMapping) as caught:
        parse_mapping(content, origin="mine.json")
    return caught.value.problems


def changed(change: Change) -> dict[str, Any]:
    """The default file after `change`."""
    content = default_content()
    change(content)
    return content


def test_default_file() -> None:
    """The default file is the table, row by row, with meetings and calendar events enabled and no witness."""
    assert {row.row: row.column for row in DEFAULT.rows} == TABLE
    assert set(DEFAULT.resources) == {"meeting", "calendarEvent"}
    assert set(DEFAULT.declared) - set(DEFAULT.resources) == {"event", "kaiaRecording", "task"}
    assert load_mapping(DEFAULT_MAPPING_FILE) == DEFAULT


def test_no_source_is_named_twice() -> None:
    """In the default file no two fields read the same value, except for words of one state."""
    plain = [(source.place, source.name) for item in DEFAULT.inputs for source in item.sources if not source.equals]
    assert len(plain) == len(set(plain))


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        (lambda c: c.pop("version"), "version", "required"),
        (lambda c: c.update(version=2), "version", "1"),
        (lambda c: c.update(extra=1), "extra", "not permitted"),
        (lambda c: c.update(rows=[]), "rows", "at least 1"),
        (lambda c: c.update(resources={}), "resources", "at least 1"),
        (lambda c: c["rows"][2].pop("column"), "rows.2.column", "required"),
        (lambda c: c["rows"][2].update(collumn="x"), "rows.2.collumn", "not permitted; is 'column' meant?"),
        (lambda c: c["rows"][2].update(maxlength=9), "rows.2.maxlength", "not permitted; is 'max_length' meant?"),
        (lambda c: c["create_conditions"][0].update(iss="x"), "create_conditions.0.iss", "is 'is' meant?"),
        (lambda c: c.update(atendees={}), "atendees", "not permitted; is 'attendees' meant?"),
        (lambda c: c.update(about=5), "about", "valid string"),
        (lambda c: c["rows"][2].update(column="Subject"), "rows.2.column", "pattern"),
        (lambda c: c["rows"][2].update(field="9"), "rows.2.field", "pattern"),
        (lambda c: c["rows"][2].update(transform="upper"), "rows.2.transform", "'upper'; docs/mapping.md lists them"),
        (lambda c: c["rows"][2].update(transform="tekst"), "rows.2.transform", "is 'text' meant?"),
        (lambda c: c["rows"][2].update(transform=5), "rows.2.transform", "valid string"),
        (lambda c: c["rows"][2].pop("transform"), "rows.2.transform", "required"),
        (lambda c: c["rows"][2].update(max_length=0), "rows.2.max_length", "greater than 0"),
        (lambda c: c["rows"][2].update(max_length=2_000_000), "rows.2.max_length", "1048576"),
        (lambda c: c["rows"][2].update(sources=[]), "rows.2.sources", "at least 1"),
        (lambda c: c["rows"][2].update(sources=["title"]), "rows.2.sources.0", "'title' is not a source"),
        (lambda c: c["rows"][2].update(sources=["attributes.a", 5]), "rows.2.sources.1", "5 is not a source"),
        (lambda c: c["rows"][8].update(sources=["relationships.a?"]), "rows.8.sources.0", "neither ? nor ="),
        (
            lambda c: c["rows"][2].update(sources=["attributes.a=b"]),
            "rows.2",
            "where a value of kind text was expected",
        ),
        (
            lambda c: c["rows"][6].update(sources=["attributes.a?"]),
            "rows.6",
            "where a value of kind instant was expected",
        ),
        (
            lambda c: c["signals"].append({"field": "kind", "kind": "text", "sources": ["action=held"]}),
            "signals.6",
            "where a value of kind text was expected",
        ),
        (lambda c: c["signals"][0].update(sources=["attributes.a=b||c"]), "signals.0.sources.0", "values is empty"),
        (lambda c: c["rows"][6].update(column="subject"), "rows.6", "transform start writes column scheduledstart"),
        (lambda c: c["rows"][2].update(column="ownerid"), "rows.2", "ownerid cannot be written"),
        (lambda c: c["rows"][2].update(column="statecode"), "rows.2", "statecode cannot be written"),
        (lambda c: c["rows"][2].update(column="activityid"), "rows.2", "activityid cannot be written"),
        (lambda c: c["rows"][3].update(column="subject"), "the file", "column subject is there twice"),
        (lambda c: c["rows"][3].update(field="title"), "the file", "field title is there twice"),
        (lambda c: c["signals"][0].update(field="title"), "the file", "field title is there twice"),
        (lambda c: c["rows"].pop(6), "the file", "no row writes scheduledstart"),
        (lambda c: c["signals"][0].update(kind="colour"), "signals.0.kind", "'text'"),
        (
            lambda c: c["signals"][1].update(kind="text", sources=["attributes.a"]),
            "the file",
            "signal canceled must be of kind flag",
        ),
        (lambda c: c["signals"][1].update(sources=["x"]), "signals.1.sources.0", "not a source"),
        (lambda c: c["create_conditions"][0].update(field="gone"), "the file", "a condition reads field gone"),
        (lambda c: c["create_conditions"][1].update({"is": "maybe"}), "create_conditions.1.is", "'set'"),
        (lambda c: c["create_conditions"][1].pop("otherwise"), "create_conditions.1.otherwise", "required"),
        (lambda c: c["create_conditions"][1].update({"is": "equal"}), "create_conditions.1", "need a value"),
        (lambda c: c["create_conditions"][0].update(value="101"), "create_conditions.0", "take none"),
        (
            lambda c: c["create_conditions"][1].update({"is": "equal", "value": ["a"]}),
            "create_conditions.1.value",
            "text in quotes, or a number",
        ),
        (
            lambda c: c["create_conditions"][0].update({"is": "true"}),
            "the file",
            "prospects is true, but it is no flag",
        ),
        (
            lambda c: c["create_conditions"][0].update({"is": "equal", "value": "101"}),
            "the file",
            "prospects, which is of kind prospect; ask whether it is set",
        ),
        (
            lambda c: c["create_conditions"][1].update({"is": "equal", "value": "true"}),
            "the file",
            "must be true or false without quotes",
        ),
        (
            lambda c: c["create_conditions"][0].update({"field": "title", "is": "equal", "value": True}),
            "the file",
            "must be text in quotes",
        ),
        (lambda c: c["rows"][8].update(sources=["attributes.a"]), "rows.8", "from relationships.NAME only"),
        (
            lambda c: c["rows"][2].update(sources=["relationships.a"]),
            "rows.2",
            "gives records, where a value of kind text",
        ),
        (lambda c: c["rows"][2].update(sources=["attributes.a?"]), "rows.2", "gives true or false here"),
        (
            lambda c: c["rows"][6].update(sources=["action=held"]),
            "rows.6",
            "where a value of kind instant was expected",
        ),
        (
            lambda c: c["signals"][1].update(sources=["relationships.a"]),
            "signals.1",
            "where a value of kind flag was expected",
        ),
        (lambda c: c["attendees"].update(order=[]), "attendees.order", "at least 1"),
        (lambda c: c["attendees"].update(order=["account"]), "attendees.order.0", "'contact' or 'lead'"),
        (lambda c: c["attendees"].update(unresolved="drop"), "attendees.unresolved", "'address' or 'skip'"),
        (lambda c: c.update(deleted_in_dynamics="x"), "deleted_in_dynamics", "'recreate' or 'leave'"),
        (lambda c: c.update(existing={"adopt": "perhaps"}), "existing.adopt", "'never', 'always' or 'booked_before'"),
        (lambda c: c.update(existing={"adopt": "booked_before"}), "existing", "booked_before must say a time"),
        (lambda c: c.update(existing={"booked_before": "soon"}), "existing.booked_before", "Invalid isoformat"),
        (lambda c: c.update(existing={"booked_before": 5}), "existing.booked_before", "string"),
        (lambda c: c.update(existing={"booked_before": "2026-03-01T00:00:00"}), "existing.booked_before", "its zone"),
        (
            lambda c: c["signals"].append({"field": "ical_uid", "kind": "flag", "sources": ["attributes.x"]}),
            "the file",
            "signal ical_uid must be of kind text",
        ),
        (
            lambda c: c.update(
                existing={"adopt": "booked_before", "booked_before": "2026-03-01T00:00:00Z"},
                rows=[row for row in c["rows"] if row["column"] != "overriddencreatedon"],
            ),
            "the file",
            "no row writes overriddencreatedon",
        ),
        (lambda c: c["resources"]["task"].pop("key"), "resources.task", "a witness needs a key"),
        (lambda c: c["resources"]["meeting"].update(remembers=True), "resources.meeting", "only a witness"),
        (
            lambda c: c["resources"]["task"].update(key=["subject"]),
            "resources.task.key.0",
            "where the meeting is named",
        ),
        (lambda c: c["resources"]["task"].update(when=["x"]), "resources.task.when.0", "not a source"),
        (lambda c: c["resources"]["task"].update(enabled="perhaps"), "resources.task.enabled", "boolean"),
        (lambda c: c["resources"]["meeting"].update(fields=["gone"]), "the file", "resource meeting: no row or signal"),
        (
            lambda c: c["resources"]["meeting"].update(actions={"held": {"title": True}}),
            "the file",
            "resource meeting: an action sets title",
        ),
        (
            lambda c: c.update(resources={"meeting": {"enabled": False}, "task": c["resources"]["task"]}),
            "the file",
            "no enabled resource is a meeting",
        ),
    ],
)
def test_error_names_its_place(change: Change, place: str, said: str) -> None:
    """Every mistake is one sentence that begins with the file and the place and says what is wrong."""
    problem = problems(changed(change))[0]
    assert problem.startswith(f"mine.json: {place}: ")
    assert said in problem


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("version"),
        lambda c: c["rows"][2].update(sources=["attributes.a", "title"]),
        lambda c: c["rows"][2].update(sources=["title"]),
        lambda c: c["create_conditions"][0].update({"is": "equal", "value": 5}),
    ],
)
def test_one_mistake_is_one_sentence(change: Change) -> None:
    """A mistake is reported once, and nothing is reported that is not so."""
    assert len(problems(changed(change))) == 1


def test_every_object_takes_a_sentence_about_it() -> None:
    """For the reader of the file; it makes the mapping no other one."""
    content = default_content()
    for one in (content, *content["rows"], *content["signals"], *content["create_conditions"], content["attendees"]):
        one["about"] = "Why it is so."
    for resource in content["resources"].values():
        resource["about"] = "Another word on it."
    assert parse_mapping(content, origin="mine.json").digest == DEFAULT.digest


def test_all_problems_at_once() -> None:
    """Three mistakes are three sentences."""

    def change(content: dict[str, Any]) -> None:
        content["rows"][0]["transform"] = "?"
        content["signals"][0]["sources"] = []
        content["attendees"]["unresolved"] = "?"

    found = problems(changed(change))
    assert [problem.split(": ")[1] for problem in found] == [
        "rows.0.transform",
        "signals.0.sources",
        "attendees.unresolved",
    ]


def test_disabled_resources_are_not_judged_by_the_rows() -> None:
    """A resource that is off may set a signal that the file no longer has."""

    def change(content: dict[str, Any]) -> None:
        content["signals"] = [signal for signal in content["signals"] if signal["field"] != "no_show"]

    assert parse_mapping(changed(change), origin="mine.json").declared["event"].actions


@law
@given(json_values)
def test_any_json_is_a_mapping_or_refused(value: object) -> None:
    """Whatever the file holds, the answer is a mapping or sentences that name the file."""
    for content in (value, default_content() | {"rows": value}, default_content() | {"resources": {"meeting": value}}):
        try:
            found = parse_mapping(content, origin="mine.json")
        except BadMapping as error:
            assert all(problem.startswith("mine.json: ") for problem in error.problems)
        else:
            assert isinstance(found, MappingFile)


@pytest.mark.parametrize(
    ("field", "kind", "value"), [("title", "text", "Intro"), ("paid", "flag", False), ("seats", "number", 5)]
)
def test_conditions_compare_values_of_their_kind(field: str, kind: str, value: object) -> None:
    """Text in quotes; true, false and numbers without."""
    content = default_content()
    if field != "title":
        content["signals"].append({"field": field, "kind": kind, "sources": [f"attributes.{field}"]})
    content["create_conditions"].append({"field": field, "is": "equal", "value": value, "otherwise": "No."})
    assert parse_mapping(content, origin="mine.json").create_conditions[-1].value == value
