"""Rows about paths, the values of routes in them, and queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.sandbox.host.table.row import EMPTY, Row, called, get, refused


def paths() -> Iterator[Row]:
    """Letter case, slashes, dots, percent signs, letters of other scripts."""
    to_echo = {
        "letters of the route": "/api/ECHO",
        "letters of the prefix": "/API/echo",
        "a slash at the end": "/api/echo/",
        "a dot": "/api/./echo",
        "two dots": "/api/x/../echo",
        "two dots, encoded": "/api/x/%2e%2e/echo",
        "two dots, half encoded": "/api/x/%2E./echo",
        "two dots at the root": "/../api/echo",
        "two dots after a double slash": "/api//../echo",
        "a dot at the end": "/api/echo/.",
        "an encoded letter": "/api/e%63ho",
        "a bare question mark": "/api/echo?",
    }
    for name, target in to_echo.items():
        yield called(f"path with {name}", get(target), "echo")
    to_nowhere = {
        "two slashes at the end": "/api/echo//",
        "two slashes in front": "//api/echo",
        "two slashes between": "/api//echo",
        "two dots at the end": "/api/echo/..",
        "a letter encoded twice": "/api/e%2563ho",
        "an encoded slash": "/api%2fecho",
        "an encoded line break": "/api/echo%0d%0a",
        "an encoded space": "/api/echo%20",
        "a lone percent sign": "/api/echo%",
        "a percent sign and no digits": "/api/echo%zz",
        "a parameter": "/api/echo;a=1",
        "a fragment": "/api/echo#x",
        "a backslash": "/api\\echo",
        "an encoded backslash": "/api%5Cecho",
        "another script": "/api/echo%C3%BC",
        "a long s for an s": "/api/po%C5%BFt-only",
        "a dotless i for an i": "/api/%C4%B1tems/a",
        "the prefix alone": "/api/",
        "nothing known": "/nothing",
        "a file that browsers ask for": "/favicon.ico",
        "a file that Azure asks for": "/robots933456.txt",
    }
    for name, target in to_nowhere.items():
        yield refused(f"path with {name}", get(target), 404, headers=EMPTY)
    bad = {"a null": "/api/echo%00", "a null in a value": "/api/items/%00", "a raw space": "/api/items/a b"}
    for name, target in bad.items():
        yield refused(f"path with {name}", get(target), 400, headers=EMPTY)
    raw = get("/api/items/@").replace(b"@", "ü".encode())
    yield refused("path with raw letters of another script", raw, 400, headers=EMPTY)
    yield called("path with a raw control character", get("/api/items/a\tb"), "item", saw={"route": {"id": "a\tb"}})


def values() -> Iterator[Row]:
    """Values of routes, and the URL that the function gets."""
    items = {
        "a number": ("7", "7"),
        "a space": ("a%20b", "a b"),
        "a plus sign": ("a+b", "a+b"),
        "a letter of two bytes": ("%C3%BC", "ü"),
        "a letter of three bytes": ("%E6%97%A5", "日"),
        "a sign of four bytes": ("%F0%9F%98%80", "😀"),
        "a combined letter": ("A%CC%8A", "A\u030a"),
        "a byte that is no UTF-8": ("%FF", "%FF"),
        "half a letter": ("%c3", "%c3"),
        "an encoded slash": ("a%2Fb", "a%2Fb"),
        "an encoded slash in small letters": ("a%2fb", "a%2fb"),
        "a slash encoded twice": ("a%252Fb", "a%2Fb"),
        "a backslash": ("a%5Cb", "a\\b"),
        "a percent sign": ("%25", "%"),
        "three dots": ("...", "..."),
        "marks of HTML": ("%3Cb%3E", "<b>"),
        "a quotation mark": ("a%22b", 'a"b'),
        "a line break": ("a%0Ab", "a\nb"),
        "a colon": ("meeting%3A7", "meeting:7"),
        "a slash behind it": ("a/", "a"),
        "2,000 letters": ("x" * 2000, "x" * 2000),
    }
    for name, (wire, value) in items.items():
        yield called(f"value with {name}", get(f"/api/items/{wire}"), "item", saw={"route": {"id": value}})
    urls = {"a%20b": "a%20b", "%c3%bc": "%C3%BC", "%41": "A", "a%252Fb": "a%2Fb", "%C3%28": "%C3(", "a|b": "a%7Cb"}
    for wire, url in urls.items():
        yield called(f"URL of {wire}", get(f"/api/items/{wire}"), "item", saw={"url": f"http://x/api/items/{url}"})
    for name, target in {"missing": "/api/items/", "empty": "/api/items//a", "too many": "/api/items/a/b"}.items():
        yield refused(f"value that is {name}", get(target), 404, headers=EMPTY)
    for rest in ("", "/", "/a", "/a/b", "/a//b", "/a/b/"):
        route = {"path": rest[1:]} if rest[1:] else {}
        yield called(f"rest '{rest}'", get(f"/api/files{rest}"), "rest", saw={"route": route})
    for wire, route in {"": {}, "/": {}, "/7": {"id": "7"}}.items():
        yield called(f"optional '{wire}'", get(f"/api/maybe{wire}"), "optional", saw={"route": route})
    for number in ("7", "-7", "+7", "%37", "%207"):
        yield called(f"number {number}", get(f"/api/numbers/{number}"), "number")
    for number in ("x", "2147483648", "1.5"):
        yield refused(f"no number {number}", get(f"/api/numbers/{number}"), 404)
    yield called("parts of a part", get("/api/mixed/V1.2.3"), "mixed", saw={"route": {"major": "1.2", "minor": "3"}})
    yield called("the first function by name wins", get("/api/both/fixed"), "beta", saw={"route": {"id": "fixed"}})


def queries() -> Iterator[Row]:
    """Names and values, as the function gets them."""
    cases: Mapping[str, tuple[str, Mapping[str, str]]] = {
        "repeats": ("x=1&x=2&X=3", {"x": "1,2,3"}),
        "empty values": ("a=&b&c=1", {"c": "1"}),
        "an empty name": ("=v", {"": "v"}),
        "empty pairs": ("&&a=1&", {"a": "1"}),
        "plus signs": ("a=1%2B1+2", {"a": "1+1 2"}),
        "other scripts": ("y=%C3%BC", {"y": "ü"}),
        "bytes that are no UTF-8": ("a=%FF", {"a": "%FF"}),
        "percent signs": ("a=%zz", {"a": "%zz"}),
        "slashes and dots": ("a=/../b", {"a": "/../b"}),
        "encoded names": ("%61=b", {"a": "b"}),
        "semicolons": ("a;b=c", {"a;b": "c"}),
    }
    for name, (query, params) in cases.items():
        yield called(f"query with {name}", get(f"/api/echo?{query}"), "echo", saw={"params": params})
    yield called("query with a fragment", get("/api/echo?a#b"), "echo", saw={"url": "http://x/api/echo?a%23b"})
    raw = get("/api/echo?x=@").replace(b"@", "ü".encode())
    yield refused("query with raw letters of another script", raw, 400, headers=EMPTY)
