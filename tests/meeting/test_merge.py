"""The laws of the merge, stated for any merge, so that a wrong one can be shown to break them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.merge import Facts, Stamp, Stamped, merge, one_text
from shared.timestamps import sortable
from tests.samples import json_values, law, stamped

Merge = Callable[[Facts, Facts], Facts]

# Few names and few moments, so that most patches meet, many of them in the very same stamp.
moments = st.sampled_from(["2026-03-02T12:00:00.000000Z", "2026-03-02T12:00:01.000000Z", "2026-03-02T12:00:02.000000Z"])
stamps = st.builds(Stamp, moments, moments)
values = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a", "b"])
patches: st.SearchStrategy[Facts] = st.dictionaries(
    st.sampled_from(["title", "location", "owner@17"]), st.builds(Stamped, values, stamps), max_size=3
)


def ours(current: Facts, patch: Facts) -> Facts:
    """The merge of the product."""
    return merge(current, patch).facts


def by_arrival(current: Facts, patch: Facts) -> Facts:
    """The naive merge: what comes last wins."""
    return {**current, **patch}


def first_come(current: Facts, patch: Facts) -> Facts:
    """Another wrong one: in a tie, what stands there stays."""
    later = {name: one for name, one in patch.items() if name not in current or current[name].stamp < one.stamp}
    return {**current, **later}


def null_is_absent(current: Facts, patch: Facts) -> Facts:
    """A third wrong one: a cleared field counts as not named."""
    return merge(current, {name: one for name, one in patch.items() if one.value is not None}).facts


def merged(by: Merge, several: Sequence[Facts]) -> Facts:
    """All of `several`, one after the other."""
    start: Mapping[str, Stamped] = {}
    return reduce(by, several, start)


def check_commutative(by: Merge, one: Facts, other: Facts) -> None:
    assert same(by(one, other), by(other, one))


def check_cleared(by: Merge) -> None:
    """`null` with a later stamp clears, an absent field changes nothing."""
    known = stamped({"title": "Intro", "location": "Room 1"}, Stamp("2026-01-01", "2026-01-01"))
    after = by(known, stamped({"location": None}, Stamp("2026-01-02", "2026-01-02")))
    assert after["location"].value is None
    assert after["title"].value == "Intro"


def same(one: Facts, other: Facts) -> bool:
    """Equality that tells 1 from true, as JSON does."""
    return one_text(dict(one)) == one_text(dict(other))


@law
@given(patches, patches)
def test_commutative(one: Facts, other: Facts) -> None:
    """Which of two patches came first cannot be seen in the result."""
    check_commutative(ours, one, other)


@law
@given(patches, patches, patches)
def test_associative(one: Facts, two: Facts, three: Facts) -> None:
    """Patches that were merged among themselves first give the same."""
    assert same(ours(ours(one, two), three), ours(one, ours(two, three)))


@law
@given(patches)
def test_idempotent(one: Facts) -> None:
    """A patch merged into itself changes nothing, and nothing counts as taken or as older."""
    again = merge(one, one)
    assert same(again.facts, one)
    assert not again.taken
    assert not again.older


@law
@given(st.lists(patches, max_size=5), st.data())
def test_any_order_and_any_repetition(several: list[Facts], data: st.DataObject) -> None:
    """Any permutation, with any of the patches repeated, gives the same fields."""
    repeated = several + (data.draw(st.lists(st.sampled_from(several), max_size=4)) if several else [])
    shuffled = data.draw(st.permutations(repeated))
    assert same(merged(ours, shuffled), merged(ours, several))


@law
@given(patches, patches)
def test_empty_patch_is_neutral(one: Facts, other: Facts) -> None:
    """A patch that names nothing changes nothing, and only named fields can change."""
    assert same(ours(one, {}), one)
    assert same(ours({}, one), one)
    after = ours(one, other)
    assert all(after[name] == one[name] for name in one if name not in other)
    assert set(after) == {*one, *other}


@law
@given(patches, patches)
def test_taken_and_older_are_exact(one: Facts, other: Facts) -> None:
    """`taken` are exactly the fields that changed; `older` those that stand against what was offered."""
    result = merge(one, other)
    changed = {name for name in result.facts if one_text(result.facts[name]) != one_text(one.get(name))}
    assert result.taken == changed
    kept = {name for name in other if one_text(result.facts[name]) != one_text(other[name])}
    assert result.older == kept


@law
@given(patches, patches)
def test_inputs_are_left_alone(one: Facts, other: Facts) -> None:
    """A merge changes neither of the maps that it was given."""
    before = one_text([dict(one), dict(other)])
    merge(one, other)
    assert one_text([dict(one), dict(other)]) == before


@law
@given(values, values, st.permutations([0, 1]))
def test_later_stamp_wins(early: object, late: object, order: list[int]) -> None:
    """The later stamp wins, whichever arrives first and whatever the values are."""
    both = [
        stamped({"title": early}, Stamp("2026-03-02T12:00:00.000000Z", "2026-03-02T12:00:09.000000Z")),
        stamped({"title": late}, Stamp("2026-03-02T12:00:01.000000Z", "2026-03-02T12:00:02.000000Z")),
    ]
    assert one_text(merged(ours, [both[index] for index in order])["title"].value) == one_text(late)


def test_delivery_time_tells_changes_within_one_second_apart() -> None:
    """With the same `changed` the later delivery wins, in either order."""
    one = stamped({"title": "z"}, Stamp("2026-03-02T12:00:00.000000Z", "2026-03-02T12:00:01.000000Z"))
    other = stamped({"title": "a"}, Stamp("2026-03-02T12:00:00.000000Z", "2026-03-02T12:00:02.000000Z"))
    assert ours(one, other)["title"].value == ours(other, one)["title"].value == "a"


@law
@given(st.lists(json_values, min_size=2, max_size=4))
def test_ties_do_not_depend_on_order(tied: list[object]) -> None:
    """Several values with the very same stamp end in the same one for every order of arrival."""
    several = [stamped({"title": value}) for value in tied]
    ends = {one_text(merged(ours, order)["title"].value) for order in itertools.permutations(several)}
    assert len(ends) == 1


def test_absent_is_not_null() -> None:
    """A field that a patch does not name stays; one that it names with null is cleared."""
    check_cleared(ours)


@pytest.mark.parametrize("wrong", [by_arrival, first_come])
def test_law_of_order_rejects_a_wrong_merge(wrong: Merge) -> None:
    """The law can fail: a merge by arrival, and one that leaves ties as they stand, break it."""
    one, other = stamped({"title": "a"}), stamped({"title": "b"})
    check_commutative(ours, one, other)
    with pytest.raises(AssertionError):
        check_commutative(wrong, one, other)


def test_law_of_order_rejects_a_stale_event_that_wins() -> None:
    """An old event that comes late must not win, which it does in a merge by arrival."""
    late = stamped({"title": "new"}, Stamp("2026-03-03T00:00:00.000000Z", "2026-03-03T00:00:00.000000Z"))
    with pytest.raises(AssertionError):
        check_commutative(by_arrival, stamped({"title": "old"}), late)
    check_commutative(ours, stamped({"title": "old"}), late)


def test_law_of_null_rejects_a_merge_that_skips_it() -> None:
    """A merge that takes null for absent breaks the law of clearing."""
    with pytest.raises(AssertionError):
        check_cleared(null_is_absent)


@law
@given(st.lists(st.datetimes(timezones=st.timezones()), min_size=2, max_size=2))
def test_stamps_sort_as_text(both: list[object]) -> None:
    """Two moments in whatever zones compare as their stamps do."""
    one, other = both
    try:
        texts = [sortable(moment) for moment in both]  # type: ignore[arg-type]  # hypothesis types them loosely
    except OverflowError:
        return  # the first and last day of the calendar; `patch.py` refuses them before
    assert (texts[0] < texts[1]) == (one < other)  # type: ignore[operator]  # as above
    assert len(set(map(len, texts))) == 1
