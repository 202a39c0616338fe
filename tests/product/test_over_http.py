"""The app on its host, over HTTP, as a caller meets it: answers, keys, traces, and what an enemy tries."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from sandbox.outreach.deliveries import MeetingScript
from sandbox.outreach.sender import signature
from sandbox.stack import EVENTS_ROUTE, HostKind, Stack
from tests.patience import PATIENCE

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def stack(host_kind: HostKind) -> Iterator[Stack]:
    """One running stack for this module."""
    with Stack("tests", host=host_kind) as running:
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    """A client of the app that has no keys."""
    with httpx.Client(base_url=stack.host_url, timeout=PATIENCE) as client:
        yield client


def deliver(stack: Stack, http: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    """Send `body`, signed, with the function key."""
    signed = {"outreach-webhook-signature": signature(body, stack.access.webhook_secret)}
    key = {"x-functions-key": stack.access.function_key}
    return http.post(EVENTS_ROUTE, content=body, headers=key | signed | headers)


def admin(stack: Stack) -> dict[str, str]:
    """The admin's key."""
    return {"x-functions-key": stack.access.admin_key}


def journal(stack: Stack, http: httpx.Client, correlation_id: str) -> dict[str, Any]:
    """The journal of one event, as soon as it is there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = http.get(f"/api/correlations/{correlation_id}", headers=admin(stack))
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()
            return found
        time.sleep(0.05)
    raise AssertionError(f"no journal of {correlation_id}: {answer.text}")


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, whose body has the one shape that refusals have."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    return answer.status_code, body["error"]["code"]


def test_accepted_and_looked_up(stack: Stack, http: httpx.Client) -> None:
    """202 with a correlation id, under which the journal and the meeting can be looked up."""
    answer = deliver(stack, http, MeetingScript(1).booked(title="Over HTTP").body)
    assert answer.status_code == 202
    assert answer.json()["status"] == "accepted"
    entry = journal(stack, http, answer.json()["correlationId"])
    assert (entry["outcome"], entry["meetingId"]) == ("created", "meeting:1")
    meeting = http.get("/api/meetings/1", headers=admin(stack)).json()
    assert meeting["fields"]["title"]["value"] == "Over HTTP"
    assert meeting["recent"][0]["correlationId"] == answer.json()["correlationId"]


@pytest.mark.parametrize("number", ["Team/Room", "50%", "a:b?c#d+e"])
def test_a_meeting_is_looked_up_whatever_stands_in_its_id(stack: Stack, http: httpx.Client, number: str) -> None:
    """An id that is no number is found under its address, escaped as addresses are; a slash too."""
    document = MeetingScript(6).booked().document
    document["data"]["id"] = number
    journal(stack, http, deliver(stack, http, json.dumps(document).encode()).json()["correlationId"])
    answer = http.get(f"/api/meetings/{quote(f'meeting:{number}', safe='')}", headers=admin(stack))
    assert (answer.status_code, answer.json().get("meetingId")) == (200, f"meeting:{number}")


def test_correlation_id_is_the_callers_trace(stack: Stack, http: httpx.Client) -> None:
    """A caller's trace goes on: its id is the correlation id, and it reaches Dataverse."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = deliver(stack, http, MeetingScript(2).booked().body, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    assert answer.json()["correlationId"] == trace
    journal(stack, http, trace)
    asked = httpx.get(f"{stack.dataverse.url}/__sandbox/requests", params={"limit": 50}).json()["requests"]
    traced = [request for request in asked if trace in request["headers"].get("traceparent", "")]
    assert traced
    assert traced[0]["headers"]["x-ms-correlation-id"].replace("-", "") == trace


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"not json", 400, "not_json"),
        (b'{"data": "\xff\xfe"}', 400, "not_json"),
        (b'{"data": NaN}', 400, "not_json"),
        (b'{"data": "\\ud800"}', 400, "not_a_delivery"),
        (b"[" * 100_000, 400, "not_json"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, "not_json"),
        (b"[]", 400, "not_a_delivery"),
        (b"null", 400, "not_a_delivery"),
        (b'{"data": {"type": "meeting"}}', 400, "not_a_delivery"),
        (b'{"data": {"type": "meeting", "id": true}}', 400, "not_a_delivery"),
        (b'{"data": {"type": "meeting", "id": "a\\u0000b"}}', 400, "not_a_delivery"),
        (json.dumps({"data": {"type": "meeting", "id": "9" * 1000}}).encode(), 400, "not_a_delivery"),
        (b'{"data": {"type": "../meeting", "id": 1}}', 400, "not_a_delivery"),
        (b'{"data": {"type": "meeting", "id": 1, "attributes": "text"}}', 400, "not_a_delivery"),
        (b" " * (MIB + 1), 413, "body_too_large"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else str(value),
)
def test_bad_bodies(stack: Stack, http: httpx.Client, body: bytes, status: int, code: str) -> None:
    """What is signed but no delivery gets a clear refusal."""
    assert error_of(deliver(stack, http, body)) == (status, code)


def test_a_delivery_in_pieces_is_told_so(stack: Stack, http: httpx.Client) -> None:
    """The host hands on nothing of a chunked body: that is no wrong signature, and the answer says what to do."""
    body = MeetingScript(665).booked().body
    signed = {"outreach-webhook-signature": signature(body, stack.access.webhook_secret)}
    key = {"x-functions-key": stack.access.function_key}
    answer = http.post(EVENTS_ROUTE, content=iter([body[:9], body[9:]]), headers=key | signed)
    assert error_of(answer) == (400, "body_without_length")
    assert "Content-Length" in answer.json()["error"]["message"]


def test_a_form_that_is_too_large_is_a_page(http: httpx.Client) -> None:
    """A stranger's too: 413 in words, without a look at who it is."""
    for form in ("find", "dismiss", "replay", "sign-out"):
        answer = http.post(f"/api/console/{form}", content=b"x" * MIB)
        assert (answer.status_code, "more than this route has a use for" in answer.text) == (413, True)
        assert answer.headers["content-type"].startswith("text/html")


def test_bad_signatures(stack: Stack, http: httpx.Client) -> None:
    """A wrong, missing, doubled or strange signature is 401, and the answer holds no secret."""
    body = MeetingScript(666).booked().body
    right = signature(body, stack.access.webhook_secret)
    key = {"x-functions-key": stack.access.function_key}
    for value in ("0" * 64, f"sha256={right}", f"{right}, {right}", right[:-1], "-"):
        # As bytes: the client itself would refuse to send what is not ASCII.
        raw = [(b"x-functions-key", stack.access.function_key.encode())]
        raw.append((b"outreach-webhook-signature", value.encode("latin-1")))
        answer = http.post(EVENTS_ROUTE, content=body, headers=raw)
        assert error_of(answer)[0] == 401
        assert stack.access.webhook_secret not in answer.text
    assert error_of(http.post(EVENTS_ROUTE, content=body, headers=key)) == (401, "signature_missing")
    assert error_of(deliver(stack, http, body, **{"outreach-webhook-signature": right.upper()})) == (
        401,
        "signature_wrong",
    )


def test_keys(stack: Stack, http: httpx.Client) -> None:
    """No route but health opens without its key, and the function key does not open the admin's."""
    assert http.post(EVENTS_ROUTE, content=b"{}").status_code == 401
    routes = [
        ("GET", "correlations/a"),
        ("GET", "meetings/1"),
        ("GET", "deadletters"),
        ("GET", "status"),
        ("POST", "deadletters/replay"),
    ]
    for method, route in [*routes, ("POST", "deadletters/dismiss"), ("POST", "preview")]:
        for key in ({}, {"x-functions-key": stack.access.function_key}, {"x-functions-key": ""}):
            assert http.request(method, f"/api/{route}", headers=key).status_code == 401


@pytest.mark.parametrize("record", ["a/b\\c#d?e", "..", "%2e%2e%2f", "x" * 255, "~parked", "'; drop", "1 or 1 eq 1"])
def test_strange_ids(stack: Stack, http: httpx.Client, record: str) -> None:
    """An id that would break a table key is a meeting like any other, or is refused: never an error of ours."""
    document = MeetingScript(3).booked().document
    document["data"]["id"] = record
    answer = deliver(stack, http, json.dumps(document).encode())
    if " " in record:
        assert error_of(answer) == (400, "not_a_delivery")
        return
    entry = journal(stack, http, answer.json()["correlationId"])
    assert (entry["outcome"], entry["meetingId"]) == ("created", f"meeting:{record}")


def test_looking_up_nonsense(stack: Stack, http: httpx.Client) -> None:
    """Whatever an admin types, the answer is 404 in the shape of all refusals."""
    for path in (
        "correlations/nonsense",
        "correlations/" + "a" * 32,
        "meetings/999999",
        "meetings/" + quote("' or 1 eq 1", safe=""),
    ):
        assert error_of(http.get(f"/api/{path}", headers=admin(stack))) == (404, "not_found")
    for body in (
        b"",
        b"{}",
        b'{"all": 1, "x": 2}',
        b'{"correlationIds": []}',
        b'{"all": true, "correlationIds": ["a"]}',
    ):
        answer = http.post("/api/deadletters/replay", content=body, headers=admin(stack))
        assert error_of(answer) == (400, "bad_request")


def test_a_meeting_is_written_again_on_request(stack: Stack, http: httpx.Client) -> None:
    """202 with a correlation id: what Dynamics refused is there once it takes it. Of what is not known, 404."""
    plugins = f"{stack.dataverse.url}/__sandbox/plugins"
    httpx.post(plugins, json={"plugins": [{"column": "location"}]}, timeout=PATIENCE).raise_for_status()
    booked = deliver(stack, http, MeetingScript(8).booked(location="Room 8").body).json()["correlationId"]
    assert journal(stack, http, booked)["outcome"] == "created"
    httpx.post(plugins, json={}, timeout=PATIENCE).raise_for_status()
    (refused,) = http.get("/api/meetings/8", headers=admin(stack)).json()["refused"]
    assert refused["column"] == "location"
    answer = http.post("/api/meetings/8/write", headers=admin(stack))
    assert (answer.status_code, set(answer.json())) == (202, {"correlationId"})
    entry = journal(stack, http, answer.json()["correlationId"])
    assert (entry["outcome"], entry["meetingId"], entry["columns"]) == ("updated", "meeting:8", ["location"])
    assert http.get("/api/meetings/8", headers=admin(stack)).json()["refused"] == []
    for unknown in ("999999", quote("' or 1 eq 1", safe="")):
        answer = http.post(f"/api/meetings/{unknown}/write", headers=admin(stack))
        assert error_of(answer) == (404, "not_found")
    assert http.post("/api/meetings/8/write").status_code == 401


def test_a_dead_letter_is_dismissed(stack: Stack, http: httpx.Client) -> None:
    """By its id, with the reason, which its journal then has; without a reason it stays, and nobody dismisses all."""
    sent = deliver(stack, http, MeetingScript(7).booked(startTime="nonsense").body).json()["correlationId"]
    assert journal(stack, http, sent)["outcome"] == "dead-lettered"
    for body, code in (
        ({}, "bad_request"),
        ({"all": True, "reason": "why"}, "bad_request"),
        ({"correlationIds": [sent]}, "bad_request"),
        ({"correlationIds": [sent], "reason": " "}, "bad_reason"),
        ({"correlationIds": [sent], "reason": "x" * 501}, "bad_reason"),
    ):
        assert error_of(http.post("/api/deadletters/dismiss", json=body, headers=admin(stack))) == (400, code)
    named = {"correlationIds": [sent.upper(), "0" * 32], "reason": "Deleted in Outreach."}
    answer = http.post("/api/deadletters/dismiss", json=named, headers=admin(stack))
    assert (answer.status_code, answer.json()) == (200, {"dismissed": 1, "correlationIds": [sent]})
    entry = journal(stack, http, sent)
    assert (entry["outcome"], entry["dismissedBecause"], entry["by"]) == (
        "dismissed",
        "Deleted in Outreach.",
        "_master",
    )
    assert entry["lastError"]["code"] == "wrong_type"
    again = http.post("/api/deadletters/dismiss", json=named, headers=admin(stack))
    assert again.json() == {"dismissed": 0, "correlationIds": []}


def test_event_names_cannot_write_log_lines(stack: Stack, http: httpx.Client) -> None:
    """A line break in an event's name stays inside one line of the log."""
    document = MeetingScript(4).booked().document
    document["meta"]["eventName"] = "meeting.created\nERROR forged by the sender"
    journal(stack, http, deliver(stack, http, json.dumps(document).encode()).json()["correlationId"])
    lines = (stack.logs / "host.log").read_text(encoding="utf-8", errors="replace").splitlines()
    assert not [line for line in lines if line.startswith("ERROR forged")]


def test_health_names_what_is_unreachable(stack: Stack, http: httpx.Client) -> None:
    """Health is open to anybody and tells only which part does not answer; an admin is told why."""
    stack.dataverse.stop()
    stack.host.restart()  # what an instance has seen it remembers for a minute
    try:
        ill, why = http.get("/api/health"), http.get("/api/status", headers=admin(stack))
    finally:
        stack.dataverse.start()
        stack.host.restart()
    parts = {name: {"status": "ok"} for name in ("settings", "queue", "tables", "dataverse", "outreach", "unverified")}
    assert ill.status_code == 503
    assert ill.json() == {"status": "unhealthy", "parts": parts | {"dataverse": {"status": "unreachable"}}}
    assert why.status_code == 200
    told = why.json()["parts"]
    assert {name: {"status": part["status"]} for name, part in told.items()} == ill.json()["parts"]
    assert told["dataverse"]["reason"]
    for secret in (stack.access.webhook_secret, stack.access.admin_key, "AccountKey"):
        assert secret not in why.text
    well = http.get("/api/health")
    assert (well.status_code, well.json()) == (200, {"status": "ok", "parts": parts})
    assert (http.head("/api/health").status_code, http.head("/api/health").content) == (200, b"")
