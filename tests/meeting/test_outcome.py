from __future__ import annotations

import json

import pytest

from shared.meeting.outcome import OutcomeKind


def test_texts_are_those_that_are_stored() -> None:
    """Journals and time lines hold these texts, and the JSON that routes answer too."""
    assert {str(kind) for kind in OutcomeKind} == {
        *("created", "updated", "merged", "duplicate", "superseded", "parked", "left", "ignored", "refused"),
        *("retrying", "dead-lettered", "dismissed", "expired", "writing", "failed"),
    }
    assert json.dumps({OutcomeKind.CREATED: OutcomeKind.DEAD_LETTERED}) == '{"created": "dead-lettered"}'


@pytest.mark.parametrize("kind", OutcomeKind)
def test_an_outcome_leads_to_one_thing_at_most(kind: OutcomeKind) -> None:
    """What Dynamics has comes no more, and what comes again needs nobody yet."""
    assert sum((kind.applied, kind.comes_again, kind.needs_person)) <= 1


def test_an_outcome_of_a_newer_version_is_its_text() -> None:
    """It is stored again as it was read, shown as it is, and nothing follows from it."""
    unknown = OutcomeKind("sent by pigeon")
    assert (str(unknown), unknown.words) == ("sent by pigeon", "sent by pigeon")
    assert not any((unknown.applied, unknown.comes_again, unknown.needs_person))
    assert unknown not in list(OutcomeKind)
    with pytest.raises(ValueError, match="not a valid"):
        OutcomeKind(None)  # type: ignore[arg-type]
