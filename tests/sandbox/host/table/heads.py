"""Rows about the head of a request: methods, request lines, headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tests.sandbox.host.raw import request
from tests.sandbox.host.table.row import EMPTY, Row, called, get, post, refused

UNFRAMED: Final = {"content-length": None, "transfer-encoding": None}


def methods() -> Iterator[Row]:
    """Known ones, unknown ones, in any letters."""
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "BREW"):
        yield refused(f"{method} where the route has POST", request(f"{method} /api/post-only"), 404, headers=EMPTY)
        yield called(
            f"{method} where the route has all", request(f"{method} /api/echo"), "echo", saw={"method": method}
        )
    for method in ("post", "Post"):
        raw = request(f"{method} /api/post-only", "Content-Length: 0")
        yield called(f"{method} where the route has POST", raw, "post_only", saw={"method": "POST"})
    yield refused("get where the route has POST", request("get /api/post-only"), 404)
    yield called("POST without a length", request("POST /api/post-only"), "post_only", saw={"body": ""})
    yield refused("HEAD where the route has POST", request("HEAD /api/post-only"), 404, headers=UNFRAMED)
    yield called("HEAD where the route has it", request("HEAD /api/get-only"), "get_only", body=b"", headers=UNFRAMED)
    yield called("head, answered with a body", request("head /api/get-only"), "get_only", saw={"method": "HEAD"})
    yield called("a method of odd signs", request("G!T /api/echo"), "echo", saw={"method": "G!T"})
    yield refused("a method that is none", request("G@T /api/echo"), 400, headers=EMPTY)
    yield refused("another method by header", post("/api/get-only", b"", "X-HTTP-Method-Override: GET"), 404)
    preflight = request("OPTIONS /api/post-only", "Origin: https://x", "Access-Control-Request-Method: POST")
    yield refused("what browsers ask before a POST from elsewhere", preflight, 404)


def targets() -> Iterator[Row]:
    """Request lines, and the host that a request is for."""
    whole = {
        "": "http://x/api/echo",
        " of https": "https://x/api/echo",
        " with dots": "http://x/api/y/../echo",
        " with a port": "http://x:80/api/echo",
        " with a user": "http://user@x/api/echo",
    }
    for name, target in whole.items():
        yield called(f"a whole URL{name}", get(target), "echo", saw={"url": "http://x/api/echo"})
    yield called("a whole URL with a query", get("http://x/api/echo?a=1"), "echo", saw={"params": {"a": "1"}})
    yield called("a whole URL with a space", get("http://x/api/items/a%20b"), "item", saw={"route": {"id": "a b"}})
    yield refused("a whole URL with an encoded slash", get("http://x/api/items/a%2Fb"), 404)
    bad = {
        "a whole URL of another host": "GET http://other/api/echo",
        "a whole URL of another port": "GET http://x:81/api/echo",
        "a whole URL of another kind": "GET foo://x/api/echo",
        "a host and a port": "CONNECT x:80",
        "a path without a slash": "GET api/echo",
        "no path": "GET ",
    }
    for name, line in bad.items():
        yield refused(name, request(line), 400, headers=EMPTY)
    yield refused("a star", get("*"), 405, headers={**EMPTY, "allow": "OPTIONS"})
    yield refused("a star with OPTIONS", request("OPTIONS *"), 404)
    lines = {b"GET /api/echo HTTP/2.0": 505, b"GET /api/echo http/1.1": 505, b"GET /api/echo": 505}
    lines |= {b"GET /api/echo FOO": 400, b"GET  /api/echo HTTP/1.1": 400, b"nonsense": 400}
    for raw, status in lines.items():
        yield refused(f"the line {raw.decode()}", raw + b"\r\nHost: x\r\n\r\n", status, headers=EMPTY)
    yield called("HTTP/1.0", b"GET /api/echo HTTP/1.0\r\nHost: x\r\n\r\n", "echo", headers=UNFRAMED)
    yield refused("HTTP/1.0 without a host", b"GET /api/echo HTTP/1.0\r\n\r\n", 500)
    yield refused("no host", b"GET /api/echo HTTP/1.1\r\n\r\n", 400, headers=EMPTY)
    yield refused("two hosts", get("/api/echo", "Host: y"), 400)
    for host, status in {"": 500, "a b": 400, "a/b": 400, "a:b": 400}.items():
        yield refused(f"the host '{host}'", request("GET /api/echo", host=host), status)
    at_port = request("GET /api/echo", host="Example.com:81")
    yield called("a host with a port", at_port, "echo", saw={"url": "http://Example.com:81/api/echo"})
    yield called("lines without a carriage return", get("/api/echo").replace(b"\r", b""), "echo")
    yield called("an empty line in front", b"\r\n" + get("/api/echo"), "echo")
    yield called("a line of 8,180 bytes", get(f"/api/echo?x={'v' * 8153}"), "echo")
    yield refused("a line of 8,200 bytes", get(f"/api/echo?x={'v' * 8173}"), 414, headers=EMPTY)


def headers() -> Iterator[Row]:
    """Odd ones, too many, too long."""
    seen: Mapping[str, tuple[bytes, Mapping[str, str]]] = {
        "UTF-8": ("X-One: ü".encode(), {"x-one": "ü"}),
        "no value": (b"X-One:", {"x-one": ""}),
        "spaces around": (b"X-One:   a  b  \t", {"x-one": "a  b"}),
        "a repeat": (b"X-One: a\r\nx-one: b", {"x-one": "a,b"}),
        "an underscore": (b"X_One: a", {"x_one": "a"}),
        "an odd name": (b"X(One: a", {"x(one": "a"}),
        "a control character": (b"X-One: a\x01b", {"x-one": "a\x01b"}),
        "cookies": (b"Cookie: a=1; b=2", {"cookie": "a=1; b=2"}),
        "cookies twice": (b"Cookie: a=1\r\nCookie: b=2", {"cookie": "a=1,b=2"}),
        "an authorization": (b"Authorization: Bearer x", {"authorization": "Bearer x"}),
        "the platform's sign-in": (b"X-MS-CLIENT-PRINCIPAL: x", {"x-ms-client-principal": "x"}),
        "what a proxy adds": (b"X-Forwarded-Proto: https", {"x-forwarded-proto": "https"}),
        "8,000 letters": (b"X-Long: " + b"v" * 8000, {"x-long": "v" * 8000}),
    }
    for name, (line, found) in seen.items():
        yield called(f"header with {name}", _with_line(line), "echo", saw={"headers": found})
    bad = {
        "bytes that are no UTF-8": b"X-One: \xff",
        "a null": b"X-One: a\0b",
        "a carriage return": b"X-One: a\rb",
        "no name": b": v",
        "no colon": b"nonsense",
        "a space before the colon": b"X-One : v",
        "a second line": b"X-One: a\r\n b",
        "a name of another script": "Xü: a".encode(),
    }
    for name, line in bad.items():
        yield refused(f"header with {name}", _with_line(line), 400, headers=EMPTY)
    yield called("100 headers", get("/api/echo", *(f"X-{number}: v" for number in range(98))), "echo")
    yield refused("101 headers", get("/api/echo", *(f"X-{number}: v" for number in range(99))), 431, headers=EMPTY)
    yield called("headers of 32,700 bytes", get("/api/echo", f"X-Long: {'v' * 32_660}"), "echo")
    yield refused("headers of 33,000 bytes", get("/api/echo", f"X-Long: {'v' * 33_000}"), 431, headers=EMPTY)


def _with_line(line: bytes) -> bytes:
    return get("/api/echo").replace(b"Host", line + b"\r\nHost", 1)
