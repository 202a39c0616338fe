"""Paths and queries as ASP.NET reads them; what the real host was measured with stands in the table of requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.host.paths import decode_path, encode_path, query_pairs


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        ("/a%20b", "/a b"),
        ("/%C3%BC", "/ü"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%2fb%20c", "/a%2fb c"),
        ("/a%252Fb", "/a%2Fb"),
        ("/a+b", "/a+b"),
        ("/%FF", "/%FF"),
        ("/%C3(%C3%BC", "/%C3(ü"),
        ("/%ED%A0%80", "/%ED%A0%80"),
        ("/a%", "/a%"),
    ],
)
def test_a_path_is_decoded_once_and_slashes_stay(wire: str, path: str) -> None:
    """An encoded slash must not become a part of the path; what is not UTF-8 stays as it came."""
    assert decode_path(wire) == path


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/./b", "/a/b"),
        ("/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/a//../b", "/a/b"),
        ("/a/...", "/a/..."),
        ("/..%2fb", "/..%2fb"),
    ],
)
def test_dots_are_resolved_after_decoding(wire: str, path: str) -> None:
    """So an encoded dot is a dot, and nothing climbs over the root."""
    assert decode_path(wire) == path


def test_a_null_is_refused() -> None:
    """Wherever it stands."""
    with pytest.raises(ValueError, match="null"):
        decode_path("/a%00b")


@given(st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8")))
def test_a_path_comes_back_from_the_url_that_a_function_gets(text: str) -> None:
    """Writing a path into a URL and reading it again changes nothing, but for dots, which are gone by then."""
    path = decode_path(encode_path(f"/{text}".replace("%", "")))
    assert decode_path(encode_path(path)) == path


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", []),
        ("?", []),
        ("?&&a=1&", [("a", "1")]),
        ("?a=1%2B1+2&flag&=v&%61=%2F", [("a", "1+1 2"), ("flag", ""), ("", "v"), ("a", "/")]),
        ("?a=%zz&b=%FF", [("a", "%zz"), ("b", "%FF")]),
    ],
)
def test_a_query_is_pairs(query: str, pairs: list[tuple[str, str]]) -> None:
    """A plus sign is a space, and what cannot be decoded stays as it came."""
    assert list(query_pairs(query)) == pairs
