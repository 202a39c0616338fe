"""The app as Azure runs it: the settings of the template, a managed identity, TLS and no key, on either host.

The tests stand in the order in which they run: one start of each host serves them all, and the last ones stop it.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient
from playwright.sync_api import expect

from sandbox.azurite import ACCOUNT, ACCOUNT_KEY, ROOT
from sandbox.identity import TOKEN_SECONDS
from sandbox.outreach.deliveries import Delivery, MeetingScript
from sandbox.outreach.sender import Sender, Sent
from sandbox.stack import HostKind, Stack
from shared.storage.envelope import Envelope
from tests.browser_client import browser_client
from tests.console.browsing import Desk, headless
from tests.console.chromium import chromium, missing, required
from tests.infra.test_settings_agree import of_the_app_itself, plain, secret
from tests.patience import PATIENCE
from tests.running_app import RunningApp
from tests.telemetry import personal
from tests.telemetry.personal import Watch
from tests.test_function_app import bindings

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER: Final = f"00-{TRACE}-00f067aa0ba902b7-01"
IN_WORK: Final = range(101, 131)
SHORT_SECONDS: Final = 3
LARGE: Final = 60 * 2**20
OUTAGE_SECONDS: Final = 8
BATCH: Final = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]["batchSize"]
# Only where another kind of Outreach credentials is chosen, or a secret is being rotated.
NOT_CHOSEN: Final = {
    "OUTREACH_API_TOKEN",
    "OUTREACH_CLIENT_ID",
    "OUTREACH_CLIENT_SECRET",
    "OUTREACH_REFRESH_TOKEN",
    "OUTREACH_WEBHOOK_SECRET_PREVIOUS",
}


@pytest.fixture(scope="module")
def app(either_host: HostKind) -> Iterator[RunningApp]:
    """The app on one host, as deployed."""
    with Stack("deployed", host=either_host, identity=True) as stack:
        yield RunningApp(stack)


def identity(app: RunningApp, lever: str, document: Any = None) -> Any:
    """Move a lever of the identity stand-in, or look."""
    assert app.stack.deployment
    url = f"{app.stack.deployment.identity.url}/__sandbox/{lever}"
    response = httpx.get(url) if document is None else httpx.post(url, json=document)
    return response.raise_for_status().json()


def telemetry(app: RunningApp, operation: str, *, of: set[str]) -> list[dict[str, Any]]:
    """All that Application Insights has of one trace, as soon as these requests and calls are among it."""
    assert app.stack.deployment
    url = f"{app.stack.deployment.insights.url}/__sandbox/telemetry"
    taken: list[dict[str, Any]] = []
    deadline = time.monotonic() + PATIENCE
    while not of <= {one["data"]["baseData"].get("name") for one in taken} and time.monotonic() < deadline:
        time.sleep(0.5)
        taken = httpx.get(url, params={"operation": operation}).json()["telemetry"]
    return taken


def queue(app: RunningApp, name: str) -> QueueClient:
    """A queue of the app, for a caller with the account's key."""
    assert app.stack.deployment
    return QueueClient(
        app.stack.azurite.service_uris["queue"],
        name,
        credential={"account_name": ACCOUNT, "account_key": ACCOUNT_KEY},
        connection_verify=str(app.stack.deployment.certificates.authority),
    )


def booked(numbers: Iterable[int]) -> list[Delivery]:
    """One meeting for each number, which is in its title."""
    return [MeetingScript(number).booked(title=f"Meeting {number}") for number in numbers]


def test_the_settings_are_those_of_the_template(app: RunningApp) -> None:
    """Every setting that Bicep gives the site is there, no other is, and none holds a key of storage."""
    given = app.stack.app_settings()
    assert set(given) == (plain() | secret() | of_the_app_itself()) - NOT_CHOSEN
    assert [name for name, value in given.items() if "AccountKey" in value or ACCOUNT_KEY in value] == []


def test_every_part_is_well(app: RunningApp) -> None:
    """With tokens alone the app reaches storage, Dynamics and Outreach."""
    parts = app.get("status").json()["parts"]
    assert {part["status"] for part in parts.values()} == {"ok"}, parts


def test_a_delivery_is_applied(app: RunningApp) -> None:
    """From Outreach's request to the appointment, each service with a token for its own name."""
    entry = app.carry_out(MeetingScript(1).booked(title="As deployed"))
    assert entry["outcome"] == "created"
    (appointment,) = app.dataverse("state?entity_set=appointments")["appointments"]
    assert appointment["subject"] == "As deployed"
    dataverse = app.stack.app_settings()["DATAVERSE_URL"]
    resources = {resource.rstrip("/") for resource in identity(app, "counters")["given"]}
    assert {dataverse, "https://storage.azure.com"} <= resources


def test_the_console_is_signed_in_to(app: RunningApp) -> None:
    """The session that the key opens lies in a table, which the app reaches by its identity."""
    with browser_client(app.stack.host_url, timeout=60) as client:
        assert client.get("/api/console/home").status_code == 401
        assert client.post("/api/console/session", headers=app.admin).status_code == 204
        home = client.get("/api/console/home")
        assert (home.status_code, "Overview" in home.text) == (200, True)


def test_the_console_is_signed_in_to_in_a_browser(app: RunningApp) -> None:
    """A wrong key is told so, the right one opens the page that was asked for."""
    executable = chromium()
    if executable is None:
        (pytest.fail if required() else pytest.skip)(missing())
    with headless(executable) as browser:
        desk = Desk(app.stack, browser)
        with desk.page() as page:
            page.goto(desk.address("meeting?id=1"))
            page.get_by_label("Admin key").fill("not-the-key")
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("alert")).to_have_text("This is not the admin key.")
            page.get_by_label("Admin key").fill(app.stack.access.admin_key)
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("meeting:1")


def test_a_dead_letter_is_replayed(app: RunningApp) -> None:
    """What Dynamics refuses is a dead letter; mended and sent again, it is applied."""
    app.dataverse("switches", {"missing_privileges": ["prvCreateActivity"]})
    refused = app.carry_out(MeetingScript(2).booked())
    app.dataverse("switches", {"missing_privileges": []})
    assert refused["outcome"] == "dead-lettered"
    sent = refused["correlationId"]
    assert app.post("deadletters/replay", {"correlationIds": [sent]}).json()["replayed"] == 1
    assert app.journal(sent, until=("created",))["meetingId"] == "meeting:2"
    assert app.get("deadletters").json()["deadLetters"] == []


def test_a_poison_message_is_a_dead_letter(app: RunningApp) -> None:
    """What the trigger gave up on is not lost: it waits for a person, and can be sent again."""
    correlation_id = "0123456789abcdef0123456789abcdef"
    event = Envelope(
        correlation_id=correlation_id,
        received_at="2026-02-20T09:00:00Z",
        body=MeetingScript(3).booked().document,
    )
    with queue(app, f"{app.stack.app_settings()['SYNC_QUEUE_NAME']}-poison") as poison:
        with contextlib.suppress(ResourceExistsError):  # the template makes it; here the host does at its first need
            poison.create_queue()
        poison.send_message(event.to_message())
    entry = app.journal(correlation_id)
    assert (entry["outcome"], entry["lastError"]["code"]) == ("dead-lettered", "poison")
    assert app.post("deadletters/replay", {"all": True}).json()["replayed"] == 1
    assert app.journal(correlation_id, until=("created",))["meetingId"] == "meeting:3"


def test_a_token_for_another_name_is_refused(app: RunningApp) -> None:
    """The Dynamics stand-in behind TLS takes no token that was made for another organisation."""
    assert app.stack.deployment
    deployment = app.stack.deployment
    platform, settings = deployment.platform(), app.stack.app_settings()

    def status(resource: str) -> int:
        asked = httpx.get(
            platform["IDENTITY_ENDPOINT"],
            params={"api-version": "2019-08-01", "resource": resource, "client_id": settings["AZURE_CLIENT_ID"]},
            headers={"X-IDENTITY-HEADER": platform["IDENTITY_HEADER"]},
        )
        token, host = asked.json()["access_token"], httpx.URL(settings["DATAVERSE_URL"]).netloc.decode()
        with httpx.Client(verify=deployment.certificates.client_context()) as client:
            return client.get(
                f"https://127.0.0.1:{app.stack.dataverse.tls_port}/api/data/v9.2/contacts",
                headers={"Authorization": f"Bearer {token}", "Host": host},
            ).status_code

    assert status(settings["DATAVERSE_URL"]) == 200
    assert status("https://other.crm.dynamics.com") == 401


def test_large_bodies_of_anybody_take_no_memory(app: RunningApp) -> None:
    """Eight bodies of 60 MiB at once to every route that wants no key: the host refuses them before it reads them."""
    before = app.stack.host.memory()
    routes = [one for one in bindings().values() if str(one.get("authLevel")).lower() == "anonymous"]
    for route in routes:
        for method in route["methods"]:
            if "{" not in route["route"]:
                call = (app.stack.host_url, method, f"/api/{route['route']}")
                with ThreadPoolExecutor(8) as at_once:
                    answers = [at_once.submit(answer_to_a_large_body, *call) for _ in range(8)]
                assert [answer.result() for answer in answers] == [(500, b"")] * 8, call
    assert app.stack.host.memory() - before < LARGE / 2**20


def answer_to_a_large_body(url: str, method: str, path: str) -> tuple[int, bytes]:
    """Status and body of the answer to a caller who sends as long as it is let."""
    address = httpx.URL(url)
    with contextlib.closing(http.client.HTTPConnection(address.host, address.port, timeout=PATIENCE)) as connection:
        connection.putrequest(method, path)
        connection.putheader("Content-Length", str(LARGE))
        connection.endheaders()
        with contextlib.suppress(ConnectionError):
            for _ in range(LARGE // 2**16):
                connection.send(bytes(2**16))
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture(scope="module")
def insights(app: RunningApp, either_host: HostKind) -> list[dict[str, Any]]:
    """What Application Insights has of a good event, of one full of people, and of one that fails. It comes late."""
    if either_host == "sandbox":
        pytest.skip("our own host takes no part in telemetry: there tests/telemetry looks at what the app records")
    people: dict[str, Any] = {
        "title": personal.TITLE,
        "description": personal.DESCRIPTION,
        "inviteeEmail": "somebody@example.com",
        "prospects": (107, 108, 109),
    }
    good, wrong = MeetingScript(5).booked(**people), MeetingScript(6).booked(startTime={"deep": personal.WRONG_VALUE})
    sent = app.deliver_at_once([good, wrong])
    assert [app.journal(one)["outcome"] for one in sent] == ["created", "dead-lettered"]
    answer = app.deliver(MeetingScript(4).booked(), traceparent=CALLER)
    assert answer.json()["correlationId"] == TRACE
    assert app.journal(TRACE)["outcome"] == "created"
    whole = {"ingest", "carry out event"}
    return [one for operation in (*sent, TRACE) for one in telemetry(app, operation, of=whole)]


def test_one_trace_reaches_application_insights(insights: list[dict[str, Any]]) -> None:
    """The caller's trace holds the host's request, the event carried out below it, and the call that wrote."""
    found = {
        str(one["data"]["baseData"].get("name")): one for one in insights if one["tags"].get("ai.operation.id") == TRACE
    }
    request, event, write = found["ingest"], found["carry out event"], found["PATCH /appointments"]
    assert request["tags"]["ai.operation.parentId"] == CALLER.split("-")[2]
    assert event["tags"]["ai.operation.parentId"] == request["data"]["baseData"]["id"]
    assert write["tags"]["ai.operation.parentId"] == event["data"]["baseData"]["id"]


def test_nothing_personal_reaches_application_insights(app: RunningApp, insights: list[dict[str, Any]]) -> None:
    """Neither the host nor the worker sends a title, an address, a key or a token there."""
    watch = Watch.over(app.stack)
    assert [(found, one) for one in insights for found in watch.in_text(json.dumps(one))] == []


def test_the_timer_runs_by_itself(app: RunningApp, either_host: HostKind) -> None:
    """Every minute, without anybody's request."""
    if either_host == "sandbox":
        pytest.skip("tests/sandbox/host holds the timers of our own host")
    fired = re.compile(r"Executing 'Functions\.sweep' \(Reason='Timer fired at [^']*', Id=([0-9a-f-]+)\)")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        log = app.stack.host.child.output()
        if (run := fired.search(log)) and f"Executed 'Functions.sweep' (Succeeded, Id={run[1]}" in log:
            return
        time.sleep(0.5)
    raise AssertionError(app.stack.host.child.last_lines())


def test_none_is_answered_no_while_a_fresh_worker_gets_no_token(app: RunningApp) -> None:
    """The endpoint fails from the first question of a fresh worker on; each event of that time is applied."""
    before = let_tokens_fail(app, status=500)
    app.stack.kill("worker")
    app.wait_for_a_worker()
    assert_all_are_applied(app, booked(range(500, 510)), refused=before)


def test_none_is_answered_no_while_a_token_that_ended_is_not_replaced(app: RunningApp) -> None:
    """Tokens of the app end, and the endpoint fails then; the host's own tokens, which are others, stay good."""
    identity(app, "tokens", {"seconds": SHORT_SECONDS, "to": "python"})
    app.stack.kill("worker")
    app.wait_for_a_worker()
    assert app.carry_out(MeetingScript(8).booked())["outcome"] == "created"
    time.sleep(SHORT_SECONDS + 1)
    assert app.carry_out(MeetingScript(8).changed(title="Later"))["outcome"] == "updated"
    before = let_tokens_fail(app, status=429)
    time.sleep(SHORT_SECONDS + 1)
    assert_all_are_applied(app, booked(range(430, 440)), refused=before)
    identity(app, "tokens", {"seconds": TOKEN_SECONDS})


def let_tokens_fail(app: RunningApp, *, status: int) -> int:
    """Nobody gets a token for a while from the next question on; returns how many were refused one before."""
    before: int = identity(app, "counters")["refused"]
    identity(app, "faults", {"status": status, "seconds": OUTAGE_SECONDS})
    return before


def assert_all_are_applied(app: RunningApp, deliveries: list[Delivery], *, refused: int) -> None:
    """Send by Outreach's rule while tokens fail: no answer is a no, and every event is carried out.

    One may have to lie in the overflow table until the next sweep. `refused`: how many tokens were, before.
    """

    async def send() -> list[Sent]:
        async with Sender(app.stack.webhook_url, secret=app.stack.access.webhook_secret) as sender:
            return await asyncio.gather(*map(sender.send, deliveries))

    answers = {sent.status for sent in asyncio.run(send())}
    assert answers <= {202, None}
    assert identity(app, "counters")["refused"] > refused
    wanted, deadline = (
        {json.loads(one.body)["data"]["attributes"]["title"] for one in deliveries},
        time.monotonic() + PATIENCE,
    )
    while missing_now := wanted - {
        row["subject"] for row in app.dataverse("state?entity_set=appointments")["appointments"]
    }:
        assert time.monotonic() < deadline, missing_now
        time.sleep(0.5)
        app.sweep()


def test_a_stop_in_mid_work_loses_nothing(app: RunningApp, either_host: HostKind) -> None:
    """After a start every event is applied; the real host may hide the batch that it had just asked for.

    Only these meetings are looked at: a worker that was killed in a test before hides its messages for ten minutes.
    """
    wanted = {f"Meeting {number}" for number in IN_WORK}
    enough = len(wanted) - (BATCH if either_host == "functions" else 0)
    if either_host == "sandbox":
        # What a slow machine has not finished when the host waits no longer comes back when its lease ends.
        app.stack.host.restart(SANDBOX_QUEUE_LEASE_SECONDS="30")
    app.deliver_at_once(booked(IN_WORK))
    app.stack.host.stop()
    app.stack.host.start()
    left, applied, deadline = 0, 0, time.monotonic() + PATIENCE
    with queue(app, app.stack.app_settings()["SYNC_QUEUE_NAME"]) as waiting:
        while applied < enough and time.monotonic() < deadline:
            time.sleep(0.5)
            left = waiting.get_queue_properties().approximate_message_count or 0
            rows = app.dataverse("state?entity_set=appointments")["appointments"]
            applied = len(wanted & {row["subject"] for row in rows})
    assert applied >= enough
    assert applied + left >= len(wanted)
