"""Rows about bodies, and about what comes behind a request on its connection."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from tests.sandbox.host.hosts import BODY_LIMIT
from tests.sandbox.host.raw import followed, request
from tests.sandbox.host.table.row import EMPTY, JSON, Row, called, get, post, refused

AT_THE_LIMIT: Final = b"x" * BODY_LIMIT
OVER_THE_LIMIT: Final = b"x" * (BODY_LIMIT + 1)
CHUNKED: Final = "Transfer-Encoding: chunked"
CHUNKS: Final = b"4\r\ntext\r\n0\r\n\r\n"
# It echoes nothing and counts as no call: good to see whether a second request is answered.
NEXT: Final = get("/api/called")


def bodies() -> Iterator[Row]:
    """Of every kind: they arrive as they were sent."""
    form = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
    kinds: Mapping[str, tuple[bytes, str]] = {
        "text": (b"text", "X-One: a"),
        "nothing": (b"", "X-One: a"),
        "bytes": (b"\xff\xfe\x00\x01", "Content-Type: application/octet-stream"),
        "JSON that is no UTF-8": (b"\xff\xfe", JSON),
        "JSON behind a byte order mark": (b"\xef\xbb\xbf{}", JSON),
        "a form": (b"a=1&b=2", "Content-Type: application/x-www-form-urlencoded"),
        "a form in parts": (form, "Content-Type: multipart/form-data; boundary=b"),
        "parts that are none": (b"text", "Content-Type: multipart/form-data; boundary=b"),
        "UTF-16": (b"t\0e\0", "Content-Type: text/plain; charset=utf-16"),
        "a type that is none": (b"text", "Content-Type: nonsense"),
        "gzip": (gzip.compress(b"text", mtime=0), "Content-Encoding: gzip"),
        "gzip that is none": (b"text", "Content-Encoding: gzip"),
    }
    for name, (body, header) in kinds.items():
        yield called(f"body of {name}", post("/api/echo", body, header), "echo", saw={"body": body.decode("latin-1")})
    for method in ("GET", "DELETE"):
        raw = request(f"{method} /api/echo", "Content-Length: 4", body=b"text")
        yield called(f"body of {method}", raw, "echo", saw={"body": "text"})


def sizes() -> Iterator[Row]:
    """Too large is 500 before the function; so is a body that does not come, after some seconds."""
    digest = f"{BODY_LIMIT} {hashlib.sha256(AT_THE_LIMIT).hexdigest()}"
    yield called("body at the limit", post("/api/echo", AT_THE_LIMIT), "echo", saw={"body": digest})
    over = post("/api/echo", OVER_THE_LIMIT)
    yield refused("body over the limit", over, 500, headers=EMPTY)
    only_said = request("POST /api/echo", f"Content-Length: {len(OVER_THE_LIMIT)}")
    yield refused("body over the limit, only its length", only_said, 500, headers=EMPTY)
    yield refused("body over the limit, and a next request", followed(over, NEXT), 500, then=0)
    yield refused("body over the limit, to nowhere", post("/api/nowhere", OVER_THE_LIMIT), 404)
    first = request("POST /api/echo", "Content-Length: 8", body=b"text")
    yield called("body in two parts", (first, b"more"), "echo", saw={"body": "textmore"})
    yield refused("body shorter than its length", first, 500, headers=EMPTY)
    yield refused("body cut off", first, 0, half_close=True)
    asking = request("POST /api/echo", "Expect: 100-continue", "Content-Length: 4")
    yield called("body that waits to be asked for", (asking, b"text"), "echo", saw={"body": "text"})
    longer = request("POST /api/echo", "Content-Length: 2", body=b"text")
    yield called("body longer than its length", longer, "echo", saw={"body": "te"})
    lengths = ("-1", "four", "9" * 20, "4, 4", "4\r\nContent-Length: 4")
    for length in lengths:
        raw = request("POST /api/echo", f"Content-Length: {length}", body=b"text")
        yield refused(f"length {length!r}", raw, 400, headers=EMPTY)
    plus = request("POST /api/echo", "Content-Length: +4", body=b"text")
    yield called("length +4", plus, "echo", saw={"body": "text", "headers": {"content-length": "4"}})
    yield refused("no length of HTTP/1.0", b"POST /api/echo HTTP/1.0\r\nHost: x\r\n\r\n", 400)


def chunks() -> Iterator[Row]:
    """A body in chunks never arrives: the host goes by the length."""
    long = b"%x\r\n%b\r\n0\r\n\r\n" % (BODY_LIMIT + 1, OVER_THE_LIMIT)
    sent = {
        "": request("POST /api/echo", CHUNKED, body=CHUNKS),
        " over the limit": request("POST /api/echo", CHUNKED, body=long),
        " that are none": request("POST /api/echo", CHUNKED, body=b"zz\r\n"),
        " that are packed": request("POST /api/echo", "Transfer-Encoding: gzip, chunked", body=CHUNKS),
    }
    for name, raw in sent.items():
        yield called(f"body in chunks{name}", raw, "echo", saw={"body": ""})
    both = request("POST /api/echo", CHUNKED, "Content-Length: 4", body=CHUNKS)
    kept = {"transfer-encoding": "chunked", "x-content-length": "4"}
    yield called("body in chunks, with a length", both, "echo", saw={"body": "", "headers": kept})
    yield refused("body in chunks, to nowhere", request("POST /api/nowhere", CHUNKED, body=CHUNKS), 404)
    yield called("body in chunks, and a next request", followed(sent[""], NEXT), "echo", then=200)
    for encoding in ("gzip", "identity"):
        raw = request("POST /api/echo", f"Transfer-Encoding: {encoding}", "Content-Length: 4", body=b"text")
        yield refused(f"body in {encoding}", raw, 400, headers=EMPTY)


def connections() -> Iterator[Row]:
    """What comes behind a request on the same connection."""
    body, echo = b"text", get("/api/echo")
    yield called("a request behind another", followed(echo, NEXT), "echo", then=200)
    yield called("a request behind a body", followed(post("/api/echo", body), NEXT), "echo", then=200)
    yield refused("a request behind a body to nowhere", followed(post("/api/nowhere", body), NEXT), 404, then=200)
    no_key = followed(post("/api/for-function", body), NEXT)
    yield refused("a request behind a body without a key", no_key, 401, then=200)
    yield refused("a request behind a bad one", b"nonsense\r\n\r\n" + NEXT, 400, then=0)
    yield called("a request behind the last one", echo + NEXT, "echo", then=0, headers={"connection": "close"})
    older = b"GET /api/echo HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
    yield called("a request behind one of HTTP/1.0", older + NEXT, "echo", then=0)
