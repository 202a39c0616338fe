from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.host.routes import overlap, parse_template


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("events", "/events", {}),
        ("events", "/EVENTS/", {}),
        ("events", "/event", None),
        ("events", "/events/1", None),
        ("", "/", {}),
        ("events/{id}", "/events/7", {"id": "7"}),
        ("events/{id}", "/events", None),
        ("events/{id}", "/events/", None),
        ("events/{id?}", "/events", {}),
        ("events/{id?}", "/events/7", {"id": "7"}),
        ("events/{id=all}", "/events", {"id": "all"}),
        ("files/{*path}", "/files/a/b", {"path": "a/b"}),
        ("files/{*path}", "/files", {}),
        ("{a}/{b}", "/1/2", {"a": "1", "b": "2"}),
        ("v{major}.{minor}/x", "/v1.2/x", {"major": "1", "minor": "2"}),
        ("{id}.json", "/a.JSON", {"id": "a"}),
    ],
)
def test_a_path_matches_its_template(template: str, path: str, values: dict[str, str] | None) -> None:
    """Literals ignore case and a slash at the end; only what is optional may be missing."""
    assert parse_template(template).match(path) == values


@pytest.mark.parametrize(
    ("constraint", "fits", "fails"),
    [
        ("int", ["0", "-7", "2147483647"], ["x", "1.5", "2147483648", "", "٣"]),
        ("long", ["9223372036854775807"], ["9223372036854775808"]),
        ("guid", ["0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", "0A9A7E1FB9D04CC4A60D0319B160AAA3"], ["0a9a"]),
        ("bool", ["true", "False"], ["yes"]),
        ("alpha", ["abc"], ["a1"]),
        ("min(3)", ["3"], ["2", "x"]),
        ("max(3)", ["3"], ["4"]),
        ("range(2,4)", ["2", "4"], ["1", "5"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("length(2)", ["ab"], ["a", "abc"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("decimal", ["1.5"], ["x"]),
        ("int:min(3)", ["3"], ["2"]),
    ],
)
def test_constraints(constraint: str, fits: list[str], fails: list[str]) -> None:
    """A value that does not fit leaves the route unmatched."""
    template = parse_template(f"x/{{id:{constraint}}}")

    assert [template.match(f"/x/{value}") for value in fits] == [{"id": value} for value in fits]
    assert [template.match(f"/x/{value}") for value in fails] == [None] * len(fails)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("events", "EVENTS/", True),
        ("events", "event", False),
        ("events", "events/{id}", False),
        ("events", "events/{id?}", True),
        ("events", "events/{id=all}", True),
        ("events/{id}", "events/all", True),
        ("events/{id:int}", "events/all", True),
        ("events/{id}", "meetings/{id}", False),
        ("events/{id}", "events/{id}/write", False),
        ("events/{id}/write", "events/all/{verb}", True),
        ("{id}.json", "all.JSON", True),
        ("{id}.json", "all.xml", False),
        ("{id}.json", "all.{kind}", True),
        ("files/{*path}", "files", True),
        ("files/{*path}", "files/a/b/c", True),
        ("files/{*path}", "events", False),
        ("{*path}", "", True),
        ("", "events", False),
    ],
)
def test_two_routes_overlap_where_one_path_could_match_both(one: str, other: str, meet: bool) -> None:  # noqa: FBT001 - a column of the table
    """A constraint separates nothing: what it lets through is not asked."""
    assert overlap(parse_template(one), parse_template(other)) is meet
    assert overlap(parse_template(other), parse_template(one)) is meet


PARTS = st.sampled_from(["a", "b", "{x}", "{x:int}", "v{x}", "{x}.{y}"])
LAST_PARTS = st.sampled_from(["a", "7", "{z}", "{z?}", "{z=a}", "{*z}"])
TEMPLATES = st.builds(
    lambda parts, last: "/".join([*parts, last]),
    st.lists(PARTS, max_size=2, unique_by=lambda part: "x" in part),
    LAST_PARTS,
)
PATHS = st.lists(st.sampled_from(["a", "B", "7", "va", "a.b", "v.7"]), max_size=4).map("/".join)


@given(one=TEMPLATES, other=TEMPLATES, path=PATHS)
def test_no_path_matches_two_routes_that_do_not_overlap(one: str, other: str, path: str) -> None:
    """Whatever the templates: a pair that is said not to overlap has no path in common."""
    templates = parse_template(one), parse_template(other)

    matched = [template.match(path) is not None for template in templates]

    assert overlap(*templates) or not all(matched)
