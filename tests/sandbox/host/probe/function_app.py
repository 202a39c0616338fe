"""An app that tells what reaches it, and that works as long and ends as badly as it is told to.

Both hosts run it for the tables of `test_requests.py` and `test_work.py`. What happens in a function is a line of the
file PROBE_JOURNAL: that outlives the process, and an answer may not.
"""

from __future__ import annotations

import asyncio
import collections
import hashlib
import json
import os
import time
from typing import Any

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
calls: collections.Counter[str] = collections.Counter()
CROWD = 100


def note(what: str, name: str, **more: Any) -> None:
    """Add a line to the journal."""
    with open(os.environ["PROBE_JOURNAL"], "a", encoding="utf-8") as journal:  # noqa: PTH123 - one write, one line
        journal.write(json.dumps({"what": what, "name": name, "pid": os.getpid(), **more}) + "\n")


def echo(name: str, req: func.HttpRequest, context: Any) -> func.HttpResponse:
    """All that the function was given; a long body by its length and digest."""
    calls[name] += 1
    body = req.get_body()
    seen = {
        "function": name,
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route": dict(req.route_params),
        "body": body.decode("latin-1") if len(body) < 100 else f"{len(body)} {hashlib.sha256(body).hexdigest()}",
        "trace": context.trace_context.trace_parent or "",
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


def add_echo(name: str, route: str, *, methods: list[str] | None = None, level: str = "anonymous") -> None:
    """One more function that echoes."""

    @app.function_name(name)
    @app.route(route=route, methods=methods, auth_level=level)
    async def handler(req: func.HttpRequest, context) -> func.HttpResponse:  # type: ignore[no-untyped-def]  # noqa: ANN001 - the worker refuses an annotated context
        return echo(name, req, context)


add_echo("echo", "echo")
add_echo("for_function", "for-function", level="function")
add_echo("for_admin", "for-admin", level="admin")
add_echo("post_only", "post-only", methods=["POST"])
add_echo("get_only", "get-only", methods=["GET", "HEAD"])
add_echo("item", "items/{id}")
add_echo("rest", "files/{*path}")
add_echo("optional", "maybe/{id?}")
add_echo("number", "numbers/{id:int}")
add_echo("mixed", "mixed/v{major}.{minor}")
# Two that one request fits: the first by name is called.
add_echo("beta", "both/{id}")
add_echo("zeta", "both/fixed")


@app.function_name("called")
@app.route(route="called")
async def called(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding needs it
    """How often each function was called that echoes or answers."""
    return func.HttpResponse(json.dumps(calls), mimetype="application/json")


@app.function_name("answer")
@app.route(route="answer/{status}")
async def answer(req: func.HttpRequest) -> func.HttpResponse:
    """What the query says: `body`, `header` as `Name: value`, `cookie`, which may be several joined by `|`."""
    calls["answer"] += 1
    if req.route_params["status"] == "raise":
        raise ValueError("told to")
    response = func.HttpResponse(req.params.get("body", ""), status_code=int(req.route_params["status"]))
    if header := req.params.get("header"):
        name, _, value = header.partition(": ")
        response.headers.add(name, value)
    for cookie in filter(None, req.params.get("cookie", "").split("|")):
        response.headers.add("Set-Cookie", cookie)
    return response


async def act(name: str, kind: str, seconds: float) -> None:
    """Work so long; or until the test says so; or until a hundred others work too; or end otherwise."""
    note("begin", name)
    if kind == "raise":
        raise ValueError("told to")
    if kind == "cancel":
        raise asyncio.CancelledError("told to")
    if kind == "until":
        while not os.path.exists(f"{os.environ['PROBE_JOURNAL']}.release"):  # noqa: ASYNC110, ASYNC240, PTH110 - a file is what another process can make
            await asyncio.sleep(0.05)
    if kind == "crowd":
        calls["crowd"] += 1
        while calls["crowd"] < CROWD:  # noqa: ASYNC110 - an event would belong to one loop
            await asyncio.sleep(0.05)
    await asyncio.sleep(seconds)
    note("end", name)


@app.function_name("call")
@app.route(route="call/{name}")
async def call(req: func.HttpRequest) -> func.HttpResponse:
    """Work for a caller that waits: `kind` and `seconds`."""
    await act(req.route_params["name"], req.params.get("kind", ""), float(req.params.get("seconds", "0")))
    return func.HttpResponse("done")


@app.function_name("thread")
@app.route(route="thread/{name}")
def thread(req: func.HttpRequest) -> func.HttpResponse:
    """The same in a thread of the worker."""
    note("begin", req.route_params["name"])
    time.sleep(float(req.params.get("seconds", "0")))
    note("end", req.route_params["name"])
    return func.HttpResponse("done")


@app.function_name("work")
@app.queue_trigger(arg_name="message", queue_name="%PROBE_QUEUE%", connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage) -> None:
    """Work for a message: JSON with `name`, `kind` and `seconds`, or any text, which is then the name."""
    text = message.get_body().decode()
    note("message", text, attempt=message.dequeue_count)
    order = json.loads(text) if text.startswith('{"name"') else {"name": text}
    await act(order["name"], order.get("kind", ""), float(order.get("seconds", 0)))
