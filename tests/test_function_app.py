"""Does the app fit the real worker? What can be checked without it: index, names, routes, envelope, cold start."""

from __future__ import annotations

import base64
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum
from azure.functions.queue import QueueMessageInConverter

import function_app
from functions.bodies import READ
from sandbox.host.check import check_app, check_module_names
from sandbox.host.routes import overlap, parse_template
from shared.console.pages import TEMPLATES
from shared.storage.envelope import Envelope, Trace

ROOT = Path(__file__).resolve().parent.parent

# Metadata of a queue message that a top-level member of the same name would overwrite (azure.functions.queue).
METADATA = {"id", "dequeueCount", "expirationTime", "insertionTime", "nextVisibleTime", "popReceipt"}


def bindings(**environment: str) -> dict[str, dict[str, Any]]:
    """The trigger of every function, by the function's name. In a process of its own: an app is indexed only once."""
    code = (
        "import json, function_app;"
        "print(json.dumps({f.get_function_name(): json.loads(str(f))['bindings'][0]"
        " for f in function_app.app.get_functions()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)  # noqa: S603 - our own code
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_worker_would_run_the_app() -> None:
    """No function breaks a rule of the worker or the host; one that did would take all others down with it."""
    assert check_app(function_app.app) == []


def test_module_names_are_free() -> None:
    """No module of the app takes the place of one that the worker needs, nor the other way round."""
    assert check_module_names(ROOT) == []


def test_routes_are_those_promised() -> None:
    """Paths, methods and keys are the ones that other people's scripts call."""
    routes = {
        str(trigger["route"]): (trigger["methods"], str(trigger["authLevel"]).lower())
        for trigger in bindings().values()
        if trigger["type"] == "httpTrigger"
    }
    promised = {
        "outreach/events": (["POST"], "function"),
        "health": (["GET", "HEAD"], "anonymous"),
        "status": (["GET"], "admin"),
        "correlations/{correlationId}": (["GET"], "admin"),
        "meetings/{meetingId}": (["GET"], "admin"),
        "meetings/{meetingId}/write": (["POST"], "admin"),
        "deadletters": (["GET"], "admin"),
        "deadletters/replay": (["POST"], "admin"),
        "deadletters/dismiss": (["POST"], "admin"),
    }
    assert {route: routes.get(route) for route in promised} == promised


def test_no_two_routes_overlap() -> None:
    """The host takes the first that fits, in the order of the functions' names: the other one could never be called."""
    routes = [
        (name, set(trigger["methods"]), parse_template(str(trigger["route"])))
        for name, trigger in bindings().items()
        if trigger["type"] == "httpTrigger"
    ]
    assert all(methods for _, methods, _ in routes), "a route without methods answers to all of them"
    overlapping = [
        (name, other_name)
        for (name, methods, template), (other_name, other_methods, other_template) in itertools.combinations(routes, 2)
        if methods & other_methods and overlap(template, other_template)
    ]
    assert overlapping == []


def test_every_route_that_takes_something_has_a_limit() -> None:
    """All that POST is sent to, but for the sign-in, whose key comes in a header, and what is named in its path."""
    taking = {name for name, trigger in bindings().items() if "POST" in trigger.get("methods", ())}
    assert taking - {"console_session", "write"} == set(READ)


def test_every_form_of_the_console_has_its_route() -> None:
    """They are listed one by one; a form that is missing there would be answered by the host, with 404."""
    forms = {
        str(trigger["route"]).removeprefix("console/")
        for trigger in bindings().values()
        if trigger["type"] == "httpTrigger"
        and str(trigger["route"]).startswith("console/")
        and trigger["methods"] == ["POST"]
        and trigger["authLevel"] == "ANONYMOUS"
    }
    pages = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
    assert forms == set(re.findall(r'<form [^>]*action="\{\{ root \}\}/([\w-]+)"', pages))


def test_queues_follow_the_setting() -> None:
    """Both queue triggers follow SYNC_QUEUE_NAME, and have a default without it."""
    for setting, queue in (({}, "outreach-events"), ({"SYNC_QUEUE_NAME": "mine"}, "mine")):
        queues = [trigger["queueName"] for trigger in bindings(**setting).values() if trigger["type"] == "queueTrigger"]
        assert queues == [queue, f"{queue}-poison"]


def test_envelope_survives_the_trigger() -> None:
    """The trigger decodes base64 and lets members overwrite metadata; our envelope comes through whole."""
    trace = Trace.of(trace_id="a" * 32, span_id="b" * 16)
    envelope = Envelope(
        correlation_id=trace.correlation_id,
        traceparent=trace.traceparent,
        event_id="e",
        event_name="meeting.created",
        received_at="2026-01-01T00:00:00.000000Z",
        attempt=2,
        body={"data": {"id": 1, "type": "meeting"}, "meta": {}},
    )
    text = base64.b64decode(envelope.to_message()).decode()
    assert METADATA.isdisjoint(json.loads(text))
    metadata = {"DequeueCount": Datum(1, "int"), "Id": Datum("message", "string")}
    message = QueueMessageInConverter.decode(Datum(text, "string"), trigger_metadata=metadata)
    assert isinstance(message, func.QueueMessage)
    assert message.dequeue_count == 1
    assert Envelope.from_message(message.get_body()) == envelope


def test_importing_the_app_loads_no_sdk() -> None:
    """Cold start: Azure SDKs, httpx and pydantic load with the first event, not with the app."""
    code = "import sys, function_app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={}, capture_output=True, check=True)  # noqa: S603 - our own code
    loaded = set(done.stdout.decode().split())
    assert loaded.isdisjoint(
        {"azure.core", "azure.storage", "azure.data", "azure.identity", "httpx", "pydantic", "aiohttp"}
    )
    assert "functions.sync" in loaded
