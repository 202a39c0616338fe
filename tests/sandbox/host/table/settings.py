"""Rows about settings of the host: its home page, its limit, Application Insights."""

from __future__ import annotations

from collections.abc import Iterator

from tests.sandbox.host.raw import request
from tests.sandbox.host.table.row import EMPTY, Row, called, get, post, refused

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"traceparent: 00-{TRACE}-b7ad6b7169203331-01"


def home() -> Iterator[Row]:
    """`/` where AzureWebJobsDisableHomepage is true: nothing, whatever the method."""
    for target in ("/", "/?a=1", "http://x"):
        yield refused(f"the disabled home page at {target}", get(target), 204, headers={"content-length": None})
    for method in ("HEAD", "POST", "BREW"):
        yield refused(f"the disabled home page with {method}", request(f"{method} /"), 204)
    yield refused("a page of home", get("/index.html"), 404)


def traces() -> Iterator[Row]:
    """Without APPLICATIONINSIGHTS_CONNECTION_STRING the context has no trace, whatever the header says."""
    header = {"traceparent": TRACEPARENT.removeprefix("traceparent: ")}
    yield called("a trace", get("/api/echo", TRACEPARENT), "echo", saw={"headers": header, "trace": ""})
    yield called("no trace", get("/api/echo"), "echo", saw={"trace": ""})


def with_defaults() -> Iterator[Row]:
    """A host without AzureWebJobsDisableHomepage and FUNCTIONS_REQUEST_BODY_SIZE_LIMIT."""
    html = {"content-type": "text/html"}
    yield refused("the home page", get("/"), 200, body=None, headers=html)
    yield refused("the home page with POST", post("/"), 200, body=None, headers=html)
    yield refused("the home page with HEAD", request("HEAD /"), 200, headers=html)
    at, over = (request("POST /api/echo", f"Content-Length: {limit}") for limit in (104_857_600, 104_857_601))
    yield refused("the length of a body over the default limit", over, 500, headers=EMPTY)
    yield refused("the length of a body at the default limit, and nothing more", at, 500, headers=EMPTY)


def with_insights() -> Iterator[Row]:
    """A host with APPLICATIONINSIGHTS_CONNECTION_STRING: the caller's trace goes on, else there is a new one."""
    yield called(
        "a trace, for Application Insights", get("/api/echo", TRACEPARENT), "echo", saw={"trace": f"00-{TRACE}-"}
    )
    yield called("no trace, for Application Insights", get("/api/echo"), "echo", saw={"trace": "00-"})
