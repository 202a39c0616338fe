"""Ids and names from outside: in a fixed form as they are, else by a digest that whoever has them can make."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.labels import Names, digest, record, word
from shared.meeting.delivery import KNOWN_RESOURCES
from shared.telemetry import LINES, line, resource_of
from tests.samples import law

NAMES = Names(lambda: {"bookingEvent": ("moved",)})
GUID = "1b000000-0000-4000-8000-000000000000"

texts = st.text(max_size=40) | st.from_regex(r"[A-Za-z]{3,20}(\.[A-Za-z]{3,20})?(:[a-z0-9@.]{1,20})?", fullmatch=True)


@pytest.mark.parametrize("text", ["", "5", "1000001", GUID, GUID.upper()])
def test_an_id_of_a_fixed_form_stays(text: str) -> None:
    """Numbers and GUIDs are nobody's name, and are what people look for."""
    assert record(text) == text


@pytest.mark.parametrize(
    "text", ["jane.doe@example.com", "JaneDoe", "5\n", "\u0665", "1" * 21, "{" + GUID + "}", "a", "-5", " 5"]
)
def test_any_other_id_is_told_by_its_digest(text: str) -> None:
    """Also where it only looks like a number."""
    assert re.fullmatch(r"~[0-9a-f]{16}", record(text))
    assert record(text) == digest(text) != digest(text + "x")


def test_the_digest_is_one_that_anybody_can_make() -> None:
    """As `printf %s jane | sha256sum` begins."""
    assert digest("jane") == "~81f8f6dde88365f3"


@pytest.mark.parametrize(
    "name",
    [
        "meeting.created",
        "bookingEvent.moved",
        "event.updated",
        "meeting.backfill",
        "reconcile",
        "spilled",
        "unknown",
        "",
    ],
)
def test_known_names_stay(name: str) -> None:
    """Those of Outreach, of the mapping file, and our own."""
    assert NAMES.event(name) == name


@law
@given(resource=texts, action=texts, record_id=texts)
def test_nothing_else_comes_through(resource: str, action: str, record_id: str) -> None:
    """Whatever somebody calls a resource, an action or a record."""
    form = r"([A-Za-z_]*|~[0-9a-f]{16})(\.([a-z_]*|~[0-9a-f]{16}))?"
    event, key = NAMES.event(f"{resource}.{action}"), NAMES.meeting(f"{resource}:{record_id}")
    assert re.fullmatch(form, event)
    assert re.fullmatch(rf"{form}(:([0-9]*|~[0-9a-f]{{16}}|[0-9a-f-]{{36}}))?", key)
    known = {*KNOWN_RESOURCES, "bookingEvent", "reconcile", "spilled", "delivery", "unknown", "", "*"}
    assert event.partition(".")[0] in known or event.startswith("~")


@pytest.mark.parametrize("text", ["0x80040265", "403", "AuthorizationFailure", "end_before_start", GUID, ""])
def test_a_code_is_a_word(text: str) -> None:
    """A short one, without spaces."""
    assert word(text) == text


@pytest.mark.parametrize("text", ["two words", "a" * 65, "line\nbreak", "Ünicode", '{"a": 1}'])
def test_what_is_no_word_is_no_code(text: str) -> None:
    """A service may answer with anything."""
    assert word(text) == digest(text)


def test_a_line_writes_what_comes_from_outside() -> None:
    """Whoever writes a line cannot forget it."""
    given = {
        "record": "jane",
        "entry": "jane",
        "webhook": "jane",
        "appointment": "jane",
        "code": "a b",
        "request_id": "a b",
    }
    assert {name for one in LINES for name in one.fields} >= set(given)
    written = json.loads(line("event", **given, columns=3))
    assert {name: written[name] for name in given if name not in {"code", "request_id"}} == dict.fromkeys(
        ("record", "entry", "webhook", "appointment"), digest("jane")
    )
    assert written["code"] == written["request_id"] == digest("a b")
    assert written["columns"] == 3
    named = {"event": "jane.doe", "meeting": "meeting:jane", "resource": "jane", "action": "jane"}
    written = json.loads(line("event", **named))
    assert written == {
        "what": "event",
        "event": f"{digest('jane')}.{digest('doe')}",
        "meeting": f"meeting:{digest('jane')}",
        "resource": digest("jane"),
        "action": digest("jane"),
    }
    mine = NAMES.event("bookingEvent.moved")
    assert json.loads(line("event", event=mine))["event"] == "bookingEvent.moved"


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v2/prospects/5", "prospects"),
        ("/api/v2/events?page%5Bafter%5D=x", "events"),
        ("/api/v2/JaneDoe?x=1", "other"),
        ("/api/data/v9.2/appointments(1)", "appointments"),
        ("/oauth/token", "other"),
    ],
)
def test_a_call_is_named_after_what_we_ask_for(path: str, resource: str) -> None:
    """A link to another page, which Outreach writes, names none."""
    assert resource_of(path) == resource
