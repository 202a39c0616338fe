"""Where a value stands in a delivery, as mapping files write it."""

from __future__ import annotations

import pytest

from shared.meeting.sources import KeySource, Source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("attributes.title", Source("attributes", "title")),
        ("attributes.heldAt?", Source("attributes", "heldAt", presence=True)),
        ("attributes.state=Held| done ", Source("attributes", "state", ("held", "done"))),
        ("relationships.prospect", Source("relationships", "prospect")),
        ("action=Completed", Source("action", "completed")),
    ],
)
def test_sources(text: str, source: Source) -> None:
    """Every form of a source that the module's text shows."""
    assert Source.parse(text) == source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("relationships.meeting", KeySource("relationships", "meeting")),
        ("relationships.subject=meeting|task", KeySource("relationships", "subject", ("meeting", "task"), "")),
        ("attributes.sourceId as calendarEvent", KeySource("attributes", "sourceId", (), "calendarEvent")),
        ("relationships.a=b as meeting", KeySource("relationships", "a", ("b",), "meeting")),
    ],
)
def test_key_sources(text: str, source: KeySource) -> None:
    """Every form of a key that the module's text shows."""
    assert KeySource.parse(text) == source


@pytest.mark.parametrize(
    "text", ["", "attributes.", "attributes.a b", "action=", "attributes.a=", "meta.x", "attributes.a?=b", None]
)
def test_no_source(text: object) -> None:
    """What is no source is refused with the forms that there are."""
    with pytest.raises(ValueError, match=r"write attributes\.NAME"):
        Source.parse(text)


@pytest.mark.parametrize(
    "text", ["attributes.title", "attributes.heldAt?", "attributes.state=held|done", "relationships.a", "action=held"]
)
def test_a_source_is_shown_as_it_is_written(text: str) -> None:
    """So what a page or a command shows can be copied into a file."""
    assert str(Source.parse(text)) == text
