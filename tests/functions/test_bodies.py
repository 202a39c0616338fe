"""What comes with a request is looked at in one place, and no further than the route has a use for."""

from __future__ import annotations

import re
from pathlib import Path

import azure.functions as func
import pytest

import functions
from functions.bodies import READ, body_of
from shared.errors import BadDelivery
from shared.pipeline.signature import MAX_BODY_BYTES
from shared.settings import SETTINGS

FOLDER = Path(functions.__file__).parent


def request(body: bytes, **headers: str) -> func.HttpRequest:
    """A request as the worker hands it over."""
    return func.HttpRequest("POST", "/api/x", headers=headers, params={}, route_params={}, body=body)


def sized(body: bytes) -> func.HttpRequest:
    """One that came with its length."""
    return request(body, **{"content-length": str(len(body))})


@pytest.mark.parametrize("route", sorted(READ))
def test_a_body_is_read_up_to_the_routes_limit(route: str) -> None:
    """At the limit it passes; one byte more is too large."""
    largest = b"x" * READ[route]
    assert body_of(sized(largest), route) == largest
    with pytest.raises(BadDelivery) as caught:
        body_of(sized(largest + b"x"), route)
    assert (caught.value.status, caught.value.code) == (413, "body_too_large")


@pytest.mark.parametrize("headers", [{}, {"transfer-encoding": "chunked"}])
def test_a_body_without_its_length_is_told_so(headers: dict[str, str]) -> None:
    """The host hands over nothing of it, so nothing can be said of its signature."""
    with pytest.raises(BadDelivery) as caught:
        body_of(request(b"", **headers), "ingest")
    assert (caught.value.status, caught.value.code) == (400, "body_without_length")


def test_an_empty_body_is_one() -> None:
    """Who says that there is nothing has sent all of it."""
    assert body_of(sized(b""), "ingest") == b""


def test_nobody_else_looks_at_a_body() -> None:
    """A route without a limit reads nothing, a health check with a large body included."""
    triggers = [path for path in FOLDER.glob("*.py") if path.name not in {"bodies.py", "sync.py"}]
    assert triggers
    assert [
        path.name for path in triggers if re.search(r"get_body|get_json|\.form\b|\.files\b", path.read_text())
    ] == []


def test_the_limits_fit_each_other() -> None:
    """A delivery is as large here as for its signature, and what a route takes the host takes in."""
    (host,) = [setting for setting in SETTINGS if setting.name == "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"]
    assert READ["ingest"] == READ["preview"] == MAX_BODY_BYTES
    assert max(READ.values()) < int(host.default or 0)
    # Each byte of a pasted delivery may be sent as three.
    assert READ["console_preview"] >= 3 * MAX_BODY_BYTES
