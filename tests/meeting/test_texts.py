from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.texts import cut, lost_links, shortened, with_links
from tests.samples import law

LINK = "https://meet.example.com/j/0123456789"


def units(text: str) -> int:
    """The length as Dataverse counts it."""
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("text", "length", "lost"),
    [
        (f"Room 1, {LINK}", 10, (LINK,)),
        (f"Room 1, {LINK}", len(f"Room 1, {LINK}"), ()),
        (f"{LINK} or {LINK}/two", len(LINK), (f"{LINK}/two",)),
        (f"{LINK} and many words", len(LINK) + 4, ()),
        ("no link at all", 4, ()),
    ],
)
def test_a_link_is_lost_where_its_end_is_cut_off(text: str, length: int, lost: tuple[str, ...]) -> None:
    """One that stands whole in what is left is not."""
    assert lost_links(text, cut(text, length)) == lost


def test_links_stand_at_the_end_of_a_text() -> None:
    """Each once, and none that is there already."""
    assert with_links("Agenda", [LINK, LINK], None) == f"Agenda\n\n{LINK}"
    assert with_links("", [LINK], None) == LINK
    assert with_links(f"Join: {LINK}", [LINK], None) == f"Join: {LINK}"


@law
@given(st.text(st.characters(codec="utf-8"), max_size=80), st.integers(len(LINK) + 2, 90))
def test_the_text_gives_way_to_a_link(text: str, length: int) -> None:
    """However long the text is, the link is whole and all of it fits."""
    found = with_links(cut(text, length), [LINK], length)
    assert units(found) <= length
    assert LINK in found


@pytest.mark.parametrize(
    ("text", "length", "kept"),
    [
        ("Intro call", 10, "Intro call"),
        ("Intro call", None, "Intro call"),
        ("Intro calls", 10, "Intro…"),
        ("Intro call with all", 11, "Intro call…"),
        ("Introduction to everything", 26, "Introduction to everything"),
        ("Hi Introduction", 12, "Hi Introduc…"),
        ("🙂🙂🙂", 4, "🙂…"),
        ("ab", 1, "…"),
    ],
)
def test_a_shortened_text_ends_with_a_whole_word(text: str, length: int | None, kept: str) -> None:
    """And an ellipsis, unless that would cost half of it."""
    assert shortened(text, length) == kept


@law
@given(text=st.text(), length=st.integers(1, 20))
def test_a_shortened_text_fits(text: str, length: int) -> None:
    """It is never longer than the column, and what fits is not touched."""
    kept = shortened(text, length)
    assert units(kept) <= length
    assert (kept == text) or units(text) > length
