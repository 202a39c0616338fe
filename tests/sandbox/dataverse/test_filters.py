from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.dataverse.errors import ODataError
from sandbox.dataverse.filters import compile_filter
from sandbox.dataverse.schema import CONTACT
from sandbox.dataverse.seed import CONTACT_IDS, USER_IDS, seed
from sandbox.dataverse.store import Store


def names(text: str) -> list[str]:
    """Return the last names of the contacts that a filter keeps."""
    store = Store()
    seed(store)
    store.put(CONTACT, {"firstname": "Contact", "lastname": "O'Seven", "jobtitle": None, "statecode": 1})
    keep = compile_filter(text, table=CONTACT)
    return [str(row.values["lastname"]) for row in store.all_rows(CONTACT) if keep(row)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("lastname eq 'One'", ["One"]),
        ("lastname eq 'ONE'", ["One"]),
        ("lastname eq 'O''Seven'", ["O'Seven"]),
        ("statecode eq 1", ["O'Seven"]),
        ("statecode ne 0", ["O'Seven"]),
        ("emailaddress1 eq null", ["O'Seven"]),
        ("jobtitle ne null", []),
        (f"contactid eq {CONTACT_IDS[1]}", ["Two"]),
        (f"contactid eq {CONTACT_IDS[1].upper()} or lastname eq 'One'", ["One", "Two"]),
        (f"_ownerid_value eq {USER_IDS[0]} and startswith(lastname,'T')", ["Two", "Three"]),
        ("contains(emailaddress1,'.SIX@')", ["Six"]),
        ("endswith(lastname, 'e') and not contains(lastname,'n')", ["Three", "Five"]),
        ("not (lastname eq 'One' or lastname eq 'Two') and statecode eq 0", ["Three", "Four", "Five", "Six"]),
        ("lastname eq 'One' or lastname eq 'Two' and statecode eq 1", ["One"]),
        ("(lastname eq 'One' or lastname eq 'Two') and statecode eq 1", []),
        ("lastname gt 'Six' and lastname le 'three'", ["Three"]),
        ("createdon ge 2000-01-01T00:00:00Z and createdon lt 2001-01-01T00:00:00+00:00", []),
        ("merged eq false", ["One", "Two", "Three", "Four", "Five", "Six"]),
        ("  lastname   eq   'One'  ", ["One"]),
    ],
)
def test_a_filter_keeps_what_it_says(text: str, kept: list[str]) -> None:
    """Comparisons, text functions, and, or, not, parentheses and null mean what OData says."""
    assert names(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lastname",
        "lastname eq",
        "lastname eq One",
        "lastname eq 'One",
        "lastname eq 'One''",
        "lastname eq 'O'Seven'",
        "lastname eq 'x' or 1 eq 1",
        "lastname eq 'x') or (statecode eq 0",
        "lastname eq 'x'; drop",
        "lastname = 'One'",
        'lastname eq "One"',
        "'One' eq lastname",
        "nonsense eq 'x'",
        "LastName eq 'One'",
        "ownerid eq null",
        f"contactid eq '{CONTACT_IDS[0]}'",
        f"lastname eq {CONTACT_IDS[0]}",
        "statecode eq '0'",
        "statecode eq 0x",
        "statecode gt null",
        "merged eq 0",
        "createdon gt '2026-01-01'",
        "createdon gt 2026-99-01T00:00:00Z",
        "lastname in ('One','Two')",
        "contains('One',lastname)",
        "contains(lastname,'x'",
        "contains(lastname)",
        "contains(statecode,'0')",
        "contains(lastname,null)",
        "substringof('x',lastname)",
        "tolower(lastname) eq 'one'",
        "not not lastname eq 'One'",
        "lastname eq 'One' and",
        "lastname eq 'One' lastname eq 'Two'",
        "lastname eq 'One' AND statecode eq 0",
        "(" * 60 + "statecode eq 0" + ")" * 60,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Text outside the grammar, unknown columns and literals of another type are refused with 400."""
    with pytest.raises(ODataError) as refused:
        compile_filter(text, table=CONTACT)
    assert (refused.value.status, refused.value.code) == (400, "0x80060888")


@given(st.text(max_size=40))
def test_a_quoted_text_stays_a_text(text: str) -> None:
    """Whatever stands between quotes, its own quotes doubled, is compared and never read as a filter."""
    quoted = text.replace("'", "''")
    store = Store()
    row = store.put(CONTACT, {"lastname": text})
    other = store.put(CONTACT, {"lastname": f"{text}x"})
    keep = compile_filter(f"lastname eq '{quoted}'", table=CONTACT)
    assert (keep(row), keep(other)) == (True, False)


def outcome(work: Callable[[], bool]) -> bool | int:
    """Return the result, or the status of the refusal."""
    try:
        return work()
    except ODataError as error:
        return error.status


FRAGMENTS = st.sampled_from(
    [
        "lastname",
        " eq ",
        " and ",
        " or ",
        "not ",
        "(",
        ")",
        "'x'",
        "'",
        "0",
        "null",
        ",",
        "contains",
        "statecode",
        "$",
        " ",
    ]
)


@given(st.text(max_size=30) | st.lists(FRAGMENTS, max_size=12).map("".join))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    """Whatever text is sent, it is either understood or refused with 400."""
    store = Store()
    row = store.put(CONTACT, {"lastname": "One", "statecode": 0})
    assert outcome(lambda: compile_filter(text, table=CONTACT)(row)) in (True, False, 400)
