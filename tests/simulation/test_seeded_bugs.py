from __future__ import annotations

import pytest

from tests.simulation.explore import Broken, explore
from tests.simulation.replay import replay
from tests.simulation.scenario import Variant
from tests.simulation.scenarios import scenario
from tests.simulation.seeded_bugs import (
    SEEDED_BUGS,
    acknowledges_before_the_write,
    believes_a_look,
    forgets_the_aliases_of_an_alias,
    forgets_the_spare,
    learns_from_any_code,
    merges_by_arrival,
    never_saves,
    no_fence,
    no_record_of_doubt,
    repeats_the_write_without_loading,
    saves_over_others,
    sends_a_refused_column_with_every_change,
    takes_every_letter_for_merged,
    takes_in_before_it_moves,
    takes_over_without_a_claim,
    tells_no_row_what_it_knows,
    writes_the_organizer_with_the_attendees,
)

CAUGHT_IN = {
    takes_over_without_a_claim: "two meetings find one row",
    learns_from_any_code: "a title is refused for good, two workers",
    sends_a_refused_column_with_every_change: "a title is refused for good, two workers",
    no_fence: "create and update",
    repeats_the_write_without_loading: "two updates of one column",
    believes_a_look: "attendees there and back again",
    writes_the_organizer_with_the_attendees: "a person moves owner and organizer while attendees change",
    no_record_of_doubt: "there and back again",
    merges_by_arrival: "create and update",
    acknowledges_before_the_write: "create and update",
    saves_over_others: "there and back again",
    takes_in_before_it_moves: "a calendar event with an appointment turns out to be of a meeting",
    never_saves: "create and update",
    tells_no_row_what_it_knows: "Outreach refuses the app, then it does not, and the dead letters are replayed",
    forgets_the_spare: "a calendar event and its meeting each have an appointment",
    forgets_the_aliases_of_an_alias: "a service does not answer while a task tells of its meeting along a calendar event",
    takes_every_letter_for_merged: "a service does not answer, and the dead letter is sent again",
}


@pytest.mark.parametrize("bug", SEEDED_BUGS, ids=lambda bug: bug.__name__)
def test_a_bug_put_in_is_caught_and_its_schedule_plays_again(bug: Variant) -> None:
    """Without any one of the rules some promise breaks, and the printed line shows it again, move by move."""
    with pytest.raises(Broken) as caught:
        explore(scenario(CAUGHT_IN[bug]), variant=bug)  # type: ignore[index]
    again = replay(caught.value.line)
    print(f"\n{caught.value}", *again.transcript, sep="\n  ")  # noqa: T201 - for `pytest -s`
    assert again.violation == caught.value.violation
