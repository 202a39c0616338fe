"""Rows about what a function returns, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.sandbox.host.table.row import EMPTY, PLAIN, Row, answered, called

STREAMED: Final = {"content-length": None, "transfer-encoding": "chunked"}
UNFRAMED: Final = {"content-length": None, "transfer-encoding": None}


def answers() -> Iterator[Row]:
    """Status, headers and body: a body has no length and comes in chunks."""
    yield called("an answer", answered(200, body="b"), "answer", body=b"b", headers={**STREAMED, **PLAIN})
    empty = {**EMPTY, **PLAIN, "transfer-encoding": None}
    yield called("an empty answer", answered(200), "answer", body=b"", headers=empty)
    to_head = answered(200, body="b").replace(b"GET", b"HEAD", 1)
    yield called("an answer to HEAD", to_head, "answer", body=b"", headers={**UNFRAMED, **PLAIN})
    for status in (201, 202, 206, 302, 303, 400, 401, 403, 404, 405, 409, 413, 418, 429, 500, 503, 599, 999):
        raw = answered(status, body="b")
        yield called(f"status {status}", raw, "answer", status, body=b"b", headers=STREAMED)
    for status in (204, 304):
        raw = answered(status, body="b")
        yield called(f"status {status}", raw, "answer", status, body=b"", headers=UNFRAMED)
    yield called("status 205", answered(205, body="b"), "answer", 205, body=b"", headers=EMPTY)
    yield called("a function that raises", answered("raise"), "answer", 500, body=b"", headers=EMPTY)
    good = ("Content-Type: text/html", "Location: /x", "X-One: ", "Server: mine", "Content-Length: 1")
    for header in good:
        name, _, value = header.partition(": ")
        raw = answered(200, body="b", header=header)
        yield called(f"answer with {header}", raw, "answer", body=b"b", headers={name.lower(): value})
    for header in ("X-One: a\r\nX-Two: b", "X-One: ü", "X-One: a\0b", "X One: a"):
        raw = answered(200, body="b", header=header)
        yield called(f"answer with {header!r}", raw, "answer", 500, body=b"", headers=EMPTY)


def cookies() -> Iterator[Row]:
    """Cookies of an answer: the host writes each anew from its parts."""
    pairs = {
        "a=1; Path=/; Max-Age=60; HttpOnly; SameSite=Strict": "max-age=60; domain=; path=/; samesite=strict; httponly",
        "a=1; Path=/; Max-Age=0": "max-age=0; domain=; path=/",
        "a=1": "domain=; path=",
        "a=1; Domain=example.com": "domain=example.com; path=",
        "a=1; SameSite=None; Secure": "domain=; path=; secure; samesite=none",
        "a=1; SameSite=odd": "domain=; path=",
        "a=1; Expires=Mon, 21 Oct 2030 07:28:00 GMT": "expires=Mon, 21 Oct 2030 07:28:00 GMT; domain=; path=",
    }
    for said, written in pairs.items():
        yield called(f"cookie {said}", answered(200, cookie=said), "answer", headers={"set-cookie": f"a=1; {written}"})
    values = {"a=": "a=", "a=a+b/c=": "a=a%2Bb%2Fc%3D", "a=x%20y": "a=x%2520y", 'a="q"': "a=q"}
    values["__Host-console=t_-.~"] = "__Host-console=t_-.~"
    for said, written in values.items():
        found = {"set-cookie": f"{written}; domain=; path="}
        yield called(f"cookie {said}", answered(200, cookie=said), "answer", headers=found)
    two = {"set-cookie": "a=1; domain=; path=|b=2; domain=; path=/"}
    yield called("two cookies", answered(200, cookie="a=1|b=2; Path=/"), "answer", headers=two)
    for said in ("nonsense", "a=b c"):
        yield called(f"cookie {said}", answered(200, cookie=said), "answer", headers={"set-cookie": None})
    for said in ("a=1; Max-Age=abc", "a=1; Expires=nonsense"):
        yield called(f"cookie {said}", answered(200, cookie=said), "answer", 500, body=b"", headers=EMPTY)
