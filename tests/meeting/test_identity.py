"""Names that must be the same for ever."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.identity import MeetingKey, appointment_id, guid, may_be_ours, table_key
from tests.samples import law

FORBIDDEN = set("/\\#?\t\n\r\x00\x1f\x7f\x80\x9f")
# What an adversary, or an unlucky id, is made of: forbidden characters, and the mark and digits of a digest.
texts = (
    st.text()
    | st.text(alphabet="a~/\\#?%\n\x00'5:-_. ", max_size=6)
    | st.text(alphabet="ab~", min_size=195, max_size=205)
)
words = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("key", "org", "expected"),
    [
        (MeetingKey("meeting", "5"), "", "6a128781-9b13-534b-893f-216f98b8b130"),
        (MeetingKey("calendarEvent", "17"), "contoso", "5c129e97-f57e-58e6-88aa-f6d79f8e14d2"),
    ],
)
def test_appointment_id_never_changes(key: MeetingKey, org: str, expected: str) -> None:
    """These ids are in Dynamics: another value here would give every meeting a second appointment."""
    assert appointment_id(key, org=org) == expected


@law
@given(
    words, words, st.from_regex(r"[!-~]{1,20}", fullmatch=True), st.from_regex(r"[!-~]{1,20}", fullmatch=True), words
)
def test_appointment_ids_differ(one: str, other: str, record: str, another: str, org: str) -> None:
    """Each meeting of each organisation has an id of its own, a GUID in lower case."""
    keys = {(org, one, record), (org, other, record), (org, one, another), ("", one, record)}
    ids = {appointment_id(MeetingKey(kind, number), org=of) for of, kind, number in keys}
    assert len(ids) == len(keys)
    assert all(text == str(UUID(text)) for text in ids)


@law
@given(texts)
def test_table_key_is_legal(text: str) -> None:
    """Whatever the text, the key is printable ASCII without what tables refuse, not empty and far below 1 KiB."""
    key = table_key(text)
    assert 0 < len(key) <= 200
    assert key.isascii()
    assert key.isprintable()
    assert not set(key) & FORBIDDEN
    assert "'" not in key
    assert "%" not in key


@law
@given(texts, texts)
def test_table_key_is_injective(one: str, other: str) -> None:
    """Two texts have one key only if they are the same."""
    assert (table_key(one) == table_key(other)) == (one == other)


@law
@given(texts)
def test_table_key_of_a_key_is_another(text: str) -> None:
    """A text that looks like a digest of another cannot take its place."""
    key = table_key(text)
    if key != text:
        assert table_key(key) != key


@pytest.mark.parametrize("text", ["meeting:5", "2026-03-02T12:00:00.000000Z", "a" * 200, "A_b.c-d"])
def test_plain_text_is_its_own_key(text: str) -> None:
    """What a table takes stays readable."""
    assert table_key(text) == text


def test_readable_start() -> None:
    """What it does not take keeps a readable start; letter case counts."""
    assert table_key("meeting/5 of us").startswith("meeting5ofus~")
    assert table_key("a/b") != table_key("A/b")
    assert table_key("\ud800") != table_key("\ud801")


@law
@given(words, st.from_regex(r"[!-~]{1,20}", fullmatch=True))
def test_meeting_key_round_trip(resource: str, record_id: str) -> None:
    """A key is read back from its text, colons in the id included."""
    key = MeetingKey(resource, record_id)
    assert MeetingKey.parse(str(key)) == key


def test_bare_number_is_a_meeting() -> None:
    """An admin types the number alone."""
    assert MeetingKey.parse("5") == MeetingKey("meeting", "5")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("6A128781-9b13-534b-893f-216f98b8b130", "6a128781-9b13-534b-893f-216f98b8b130"),
        (" {6a128781-9b13-534b-893f-216f98b8b130}\n", "6a128781-9b13-534b-893f-216f98b8b130"),
        ("6a1287819b13534b893f216f98b8b130", None),
        ("6a128781-9b13-534b-893f-216f98b8b130 and more", None),
        ("", None),
        (5, None),
    ],
)
def test_guids(text: object, found: str | None) -> None:
    """As a person or a system writes one, in lower case and without braces; nothing else is one."""
    assert guid(text) == found


def test_ids_of_ours_are_told_from_those_of_dataverse() -> None:
    """Ours are of version 5; Dataverse makes sequential and random ones."""
    assert may_be_ours(appointment_id(MeetingKey("meeting", "5"), org=""))
    for theirs in ("3d3a9a4e-62f5-ee11-a1fd-000d3a1b2c3d", "20000000-0000-4000-8000-000000000001"):
        assert not may_be_ours(theirs)
