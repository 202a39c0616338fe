"""How a meeting stands, in the words of the API and of people."""

from __future__ import annotations

from shared.meeting.status import Status


def test_the_words_of_the_api() -> None:
    """`status` has the words that the contract fixes; `state` those that answers had before."""
    assert {str(status): status.state for status in Status} == {
        "remembered": "remembered",
        "being_written": "being written",
        "in_dynamics": "in Dynamics",
        "parked": "parked",
        "dead_letter": "needs attention",
        "deleted_in_dynamics": "deleted in Dynamics",
    }
    assert all(status.words for status in Status)
