"""A full run's logs hold no name, address, description, secret, signature or token, however wrong things go."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.outreach.deliveries import Delivery, MeetingScript
from sandbox.stack import EVENTS_ROUTE, HostKind, Stack
from tests.browser_client import browser_client
from tests.patience import PATIENCE
from tests.telemetry import personal
from tests.telemetry.personal import Watch

# Their people are found by address, or not at all; so addresses travel in filters.
BY_ADDRESS = (107, 108, 109)


@pytest.fixture(scope="module")
def stack(host_kind: HostKind) -> Iterator[Stack]:
    """One running stack, whose log is read afterwards."""
    with Stack("personal", host=host_kind) as running:
        yield running


def booked(number: int, **attributes: Any) -> Delivery:
    """A meeting with something personal in every place."""
    return MeetingScript(number).booked(
        title=personal.TITLE,
        prospects=BY_ADDRESS,
        user=2,
        description=personal.DESCRIPTION,
        location=personal.LOCATION,
        inviteeEmail="somebody@example.com",
        notRead=personal.UNKNOWN_FIELD,
        **attributes,
    )


def called(*, resource: str = "meeting", **attributes: Any) -> bytes:
    """A meeting whose id, and what happened to it, somebody has chosen."""
    document = booked(20, **attributes).document
    document["data"] |= {"type": resource, "id": personal.RECORD}
    document["meta"]["eventName"] = f"{resource}.{personal.ACTION}"
    return json.dumps(document).encode()


def run_everything(stack: Stack, watch: Watch) -> None:
    """Good events, wrong ones, forged ones, throttling, refusals, an outage, and an admin who looks around."""
    key, admin = {"x-functions-key": stack.access.function_key}, {"x-functions-key": stack.access.admin_key}
    with browser_client(stack.host_url, timeout=PATIENCE) as http:

        def deliver(body: bytes, **headers: str) -> str:
            signature = watch.sent(body, secret=stack.access.webhook_secret)
            answer = http.post(
                EVENTS_ROUTE, content=body, headers=key | {"outreach-webhook-signature": signature} | headers
            )
            return str(answer.json().get("correlationId", ""))

        def faults(**plan: object) -> None:
            httpx.post(f"{stack.dataverse.url}/__sandbox/faults", json=plan).raise_for_status()

        deliver(called(resource=personal.RESOURCE))
        settle(http, admin, [deliver(called()), deliver(called(startTime="nonsense"))])
        waiting = [deliver(booked(1).body), deliver(booked(2, startTime={"deep": personal.WRONG_VALUE}).body)]
        deliver(booked(3).body, **{"outreach-webhook-signature": "f" * 64})
        deliver(json.dumps({"data": personal.WRONG_VALUE}).encode())
        deliver(f"{{ not JSON, {personal.WRONG_VALUE}".encode())
        http.post(EVENTS_ROUTE, content=b"{}", params={"code": "a-wrong-key"})
        settle(http, admin, waiting)
        refusal = {"status": 400, "code": "0x80048d19", "message": f"Wrong value: {personal.TITLE}"}
        faults(next=["429", "503", refusal, "403", "drop_after"], retry_after=1)
        waiting = [deliver(booked(number).body) for number in range(4, 9)]
        settle(http, admin, waiting, also=("retrying",))
        faults()
        stack.outreach.kill()
        settle(http, admin, [deliver(booked(9).body)], also=("retrying",))
        stack.outreach.start()
        http.get("/api/meetings/1", headers=admin)
        dead_letters = http.get("/api/deadletters", headers=admin).json()["deadLetters"]
        named = {
            "correlationIds": [dead_letter["correlationId"] for dead_letter in dead_letters],
            "reason": personal.REASON,
        }
        http.post("/api/deadletters/dismiss", json=named, headers=admin)
        http.post("/api/preview", content=booked(10).body, headers=admin)
        http.post("/api/console/session", headers=admin)
        watch.words.append(http.cookies["console"])
        for path in ("home", "meeting?id=1", "deadletters", f"find?q={personal.SEARCHED}"):
            http.get(f"/api/console/{path}")
        http.post("/admin/functions/sweep", headers=admin, json={})


def settle(http: httpx.Client, admin: dict[str, str], waiting: list[str], *, also: tuple[str, ...] = ()) -> None:
    """Wait until each event has ended, or has one of the outcomes in `also`."""
    deadline = time.monotonic() + PATIENCE
    for correlation_id in waiting:
        while time.monotonic() < deadline:
            answer = http.get(f"/api/correlations/{correlation_id}", headers=admin)
            if answer.status_code == 200 and (answer.json()["outcome"] != "retrying" or "retrying" in also):
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"{correlation_id} was not carried out")


def wait_for_the_sweep(log: Path) -> None:
    """Its last line; the real host answers whoever starts a timer's function before it has run."""
    deadline = time.monotonic() + PATIENCE
    while '{"what": "backlog"' not in log.read_text(encoding="utf-8") and time.monotonic() < deadline:
        time.sleep(0.1)


def test_logs_hold_nothing_personal(stack: Stack) -> None:
    """After all of that nothing personal and nothing secret is in the app's log, which is not empty either."""
    watch = Watch.over(stack)
    run_everything(stack, watch)
    log = stack.logs / "host.log"
    wait_for_the_sweep(log)
    stack.host.stop()
    assert watch.found([log]) == []
    text = log.read_text(encoding="utf-8")
    for what in ("ingest", "refused", "event", "dismissed", "backlog"):
        assert f'{{"what": "{what}"' in text
    for outcome in ("created", "dead-lettered", "retrying"):
        assert f'"outcome": "{outcome}"' in text


def test_the_search_can_find() -> None:
    """Every kind of thing that is looked for is found where it is."""
    watch = Watch()
    watch.sent(b"{}", secret="made-up")
    for text in (
        *watch.words,
        "somebody@example.com",
        "somebody%40example.com",
        "Authorization: Bearer abc",
        "?code=key",
    ):
        assert watch.in_text(f"a line with {text} in it"), text
    assert watch.in_text('{"what": "event", "meeting": "meeting:1"}') == []
