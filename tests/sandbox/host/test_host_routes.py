from __future__ import annotations

import pytest

from sandbox.host.routes import parse_template


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
    ("wire", "value"),
    [("a%20b", "a b"), ("%C3%BC", "ü"), ("a%2Fb", "a%2Fb"), ("a%2fb%20c", "a%2Fb c"), ("a+b", "a+b"), ("%FF", "%FF")],
)
def test_values_are_decoded_once_and_slashes_stay(wire: str, value: str) -> None:
    """An encoded slash must not become a part of the path; what is not UTF-8 stays as it came."""
    assert parse_template("{id}").match(f"/{wire}") == {"id": value}


def test_more_literal_templates_come_first() -> None:
    """Sorting by precedence puts the special case before the general one."""
    texts = ["{*rest}", "{id}", "{id:int}", "x{id}", "fixed"]

    templates = sorted(map(parse_template, texts), key=lambda template: template.precedence)

    assert [template.text for template in templates] == ["fixed", "x{id}", "{id:int}", "{id}", "{*rest}"]
