from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import azure.functions as func
import httpx
import pytest

from sandbox.host.keys import Keys
from tests.patience import PATIENCE
from tests.sandbox.host.running import Running, running, until


def app_of(handler: Callable[..., Any], **route: Any) -> func.FunctionApp:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    app.route(**{"route": "events", **route})(handler)
    return app


async def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route": dict(req.route_params),
        "body": req.get_body().decode(),
        "trace": [context.trace_context.trace_parent, context.trace_context.trace_state],
        "context": [context.function_name, context.invocation_id, context.retry_context],
        "local": vars(context.thread_local_storage)["invocation_id"],
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


async def raw_request(host: Running, request: bytes) -> bytes:
    """Send bytes as they are; the answer's head, which must have come before more is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.client.base_url.port)
    writer.write(request)
    async with asyncio.timeout(PATIENCE):
        answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


async def test_the_request_arrives_as_the_worker_gives_it() -> None:
    """Lower-case header names, repeats joined by commas, empty query values gone, route values decoded."""
    async with running(app_of(echo, route="events/{id}/{more?}")) as host:
        seen = (
            await host.client.post(
                "/api/Events/a%20b?x=1&x=2&X=3&empty=&flag&y=%C3%BC+z",
                headers=[("X-One", "a"), ("x-one", "b"), ("X-Two", "")],
                content=b"text",
            )
        ).json()

    assert (seen["method"], seen["body"], seen["route"]) == ("POST", "text", {"id": "a b"})
    assert seen["params"] == {"x": "1,2,3", "y": "ü z"}
    assert seen["url"] == f"{host.host.url}/api/Events/a%20b?x=1&x=2&X=3&empty=&flag&y=%C3%BC+z"
    assert (seen["headers"]["x-one"], seen["headers"]["x-two"]) == ("a,b", "")
    assert all(name == name.lower() for name in seen["headers"])


async def test_a_compressed_body_arrives_as_it_was_sent() -> None:
    """The host unpacks nothing, so a signature is held against the bytes on the wire."""
    packed = gzip.compress(b"text")

    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(req.get_body())

    async with running(app_of(handler)) as host:
        answer = await host.client.post("/api/events", content=packed, headers={"Content-Encoding": "gzip"})
    assert answer.content == packed


async def test_the_context_tells_about_the_invocation() -> None:
    """Name, and an id of its own."""
    async with running(app_of(echo)) as host:
        first, second = [(await host.client.get("/api/events")).json() for _ in range(2)]

    assert first["context"][0] == "echo"
    assert first["context"][1] == first["local"] != second["local"]
    assert first["context"][2] is None


@pytest.mark.parametrize("traced", [True, False])
async def test_a_callers_trace_goes_on_where_application_insights_is_set(*, traced: bool) -> None:
    """With a new span; otherwise the context is empty, and only the header has it."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "tracestate": "v=1"}

    async with running(app_of(echo), traced=traced) as host:
        first, second = [(await host.client.get("/api/events", headers=headers)).json() for _ in range(2)]

    assert first["headers"]["traceparent"] == headers["traceparent"]
    if traced:
        assert first["trace"][0].split("-")[1] == trace
        assert first["trace"] != second["trace"]
        assert first["trace"][1] == "v=1"
    else:
        assert first["trace"] == second["trace"] == ["", ""]


@pytest.mark.parametrize(("method", "status"), [("GET", 404), ("POST", 200), ("HEAD", 404)])
async def test_a_wrong_method_is_not_found(method: str, status: int) -> None:
    """Not 405: the host just finds no function."""
    async with running(app_of(echo, methods=["POST"])) as host:
        response = await host.client.request(method, "/api/events")

    assert response.status_code == status


async def test_head_is_answered_where_the_trigger_lists_it() -> None:
    """With the status and the headers of the function's answer, and without its body."""
    async with running(app_of(echo, methods=["GET", "HEAD"])) as host:
        head, get = await host.client.head("/api/events"), await host.client.get("/api/events")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


async def test_one_route_may_belong_to_two_functions() -> None:
    """The method chooses."""

    async def read(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(f"read {req.method}")

    async def write(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(f"write {req.method}")

    app = app_of(read, methods=["GET"])
    app.route(route="events", methods=["POST"])(write)

    async with running(app) as host:
        answers = [(await host.client.request(method, "/api/events")).text for method in ("GET", "POST")]

    assert answers == ["read GET", "write POST"]


async def test_of_two_routes_that_fit_the_function_whose_name_sorts_first_is_called() -> None:
    """However literal the other is, and in whatever order the app has them; letter case does not count."""

    async def named(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(f"named {req.url.rpartition('/')[2]}")

    async def free(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(f"free {req.route_params['id']}")

    answers = []
    for names in [("Beta", "alpha"), ("alpha", "Beta")]:
        app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
        app.function_name(names[0])(app.route(route="named")(named))
        app.function_name(names[1])(app.route(route="{id}")(free))
        async with running(app) as host:
            answers += [(await host.client.get(f"/api/{path}")).text for path in ("named", "other")]

    assert answers == ["free named", "free other", "named named", "free other"]


@pytest.mark.parametrize(("prefix", "path"), [("api", "/api/events"), ("", "/events"), ("a/b", "/a/b/events")])
async def test_the_route_prefix_comes_from_host_json(prefix: str, path: str) -> None:
    """Empty means none."""
    async with running(app_of(echo), host_json={"extensions": {"http": {"routePrefix": prefix}}}) as host:
        assert (await host.client.get(path)).status_code == 200
        assert (await host.client.get("/other")).status_code == 404


async def test_the_answer_keeps_status_headers_and_cookies() -> None:
    """The default content type is text; of a repeated header the worker sends the last, of cookies all."""

    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        response = func.HttpResponse("made", status_code=201, headers={"X-One": req.method, "Connection": "x"})
        response.headers.add("X-Two", "a")
        response.headers.add("X-Two", "b")
        response.headers.add("Set-Cookie", "one=1; Path=/; HttpOnly")
        response.headers.add("Set-Cookie", "two=2")
        return response

    async with running(app_of(handler)) as host:
        response = await host.client.get("/api/events")

    assert (response.status_code, response.text) == (201, "made")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert (response.headers["x-one"], response.headers["x-two"]) == ("GET", "b")
    assert response.headers.get_list("set-cookie") == ["one=1; domain=; path=/; httponly", "two=2; domain=; path="]


@pytest.mark.parametrize(
    ("text", "status", "content_type", "body"),
    [
        ("plain", 200, "text/plain; charset=utf-8", b"plain"),
        ('{"a": 1}', 200, "application/json; charset=utf-8", b'{"a":1}'),
        ("5", 200, "application/json; charset=utf-8", b"5"),
        ('{"body": "x", "status": "202", "headers": {"X-Y": "z"}}', 202, "text/plain; charset=utf-8", b"x"),
        ('{"Body": {"a": 1}, "statusCode": 418}', 418, "application/json; charset=utf-8", b'{"a":1}'),
    ],
)
async def test_a_returned_string_may_be_read_as_a_response(
    text: str, status: int, content_type: str, body: bytes
) -> None:
    """JSON is sent as JSON; with a `body` key it is a whole response."""

    async def handler(req: func.HttpRequest) -> str:
        assert req
        return text

    async with running(app_of(handler)) as host:
        response = await host.client.get("/api/events")

    assert (response.status_code, response.headers["content-type"], response.content) == (status, content_type, body)


async def raises(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError(f"secret of {req.method}")


async def returns_nothing(req: func.HttpRequest):  # type: ignore[no-untyped-def]  # noqa: ANN201 - the worker allows it
    assert req


async def returns_a_dictionary(req: func.HttpRequest):  # type: ignore[no-untyped-def]  # noqa: ANN201 - the worker allows it
    return {"method": req.method}


async def breaks_a_header(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(req.method)
    response.headers._list.append(("X-One", "a\r\nX-Two: b"))
    return response


def raises_in_a_thread(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError(f"secret of {req.method}")


@pytest.mark.parametrize(
    "handler", [raises, returns_nothing, returns_a_dictionary, breaks_a_header, raises_in_a_thread]
)
async def test_a_failing_function_answers_500_without_a_body(
    handler: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The reason is in the log, not in the answer, and the run counts as failed."""
    async with running(app_of(handler)) as host:
        response = await host.client.get("/api/events")
        report = await host.report()

    assert (response.status_code, response.content) == (500, b"")
    assert f"Executed 'Functions.{handler.__name__}' (Failed" in caplog.text
    assert report["functions"][handler.__name__]["failures"] == 1


async def test_sync_functions_run_in_threads_and_async_ones_on_the_loop() -> None:
    """So one blocking function does not hold up the others."""

    def blocking(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(f"{threading.current_thread().name.partition('_')[0]} {req.method}")

    async def on_loop(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(f"{threading.current_thread().name} {req.method}")

    app = app_of(blocking, route="blocking")
    app.route(route="loop")(on_loop)

    async with running(app) as host:
        assert (await host.client.get("/api/blocking")).text == "function GET"
        assert (await host.client.get("/api/loop")).text == f"{threading.current_thread().name} GET"


def keyed_app() -> func.FunctionApp:
    app = func.FunctionApp()
    for level in ("anonymous", "function", "admin"):
        app.function_name(level)(app.route(route=f"for-{level}", auth_level=level)(echo))
    return app


@pytest.fixture
async def keyed() -> AsyncIterator[Running]:
    async with running(keyed_app(), keys=Keys("function-key", "admin-key")) as host:
        yield host


@pytest.mark.parametrize(
    ("key", "statuses"),
    [("", [200, 401, 401]), ("wrong", [200, 401, 401]), ("function-key", [200, 200, 401]), ("admin-key", [200] * 3)],
)
async def test_keys_open_routes_by_header_and_by_query(keyed: Running, key: str, statuses: list[int]) -> None:
    """A refusal has no body."""
    paths = [f"/api/for-{level}" for level in ("anonymous", "function", "admin")]
    by_header = [await keyed.client.get(path, headers={"x-functions-key": key}) for path in paths]
    by_query = [await keyed.client.get(path, params={"code": key}) for path in paths]

    assert [response.status_code for response in by_header] == statuses
    assert [response.status_code for response in by_query] == statuses
    assert all(response.content == b"" for response in by_header + by_query if response.status_code == 401)


async def test_without_keys_nothing_is_asked_for() -> None:
    """As in Core Tools."""
    async with running(keyed_app()) as host:
        assert (await host.client.get("/api/for-admin")).status_code == 200


async def test_the_key_is_checked_before_the_body_is_read(keyed: Running) -> None:
    """A stranger cannot make the host read."""
    request = b"POST /api/for-function HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"

    assert (await raw_request(keyed, request)).startswith(b"HTTP/1.1 401 ")


async def test_a_body_over_the_limit_is_refused() -> None:
    """500 without a body, and without a call of the function; at the limit it passes."""
    async with running(app_of(echo), body_limit=1000) as host:
        over = await host.client.post("/api/events", content=b"x" * 1001)
        at = await host.client.post("/api/events", content=b"x" * 1000)
        report = await host.report()

    assert (over.status_code, over.content) == (500, b"")
    assert at.status_code == 200
    assert report["functions"]["echo"]["invocations"] == 1


async def test_a_header_that_is_no_utf_8_is_refused() -> None:
    """It could not be handed to the worker."""
    async with running(app_of(echo)) as host:
        answer = await raw_request(host, b"GET /api/events HTTP/1.1\r\nHost: x\r\nX-One: \xff\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_requests_over_the_outstanding_limit_get_429() -> None:
    """Those over the concurrent limit wait."""
    entered = asyncio.Queue[int]()
    go_on = asyncio.Event()

    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        entered.put_nowait(1)
        await go_on.wait()
        return func.HttpResponse(req.method)

    limits = {"extensions": {"http": {"maxConcurrentRequests": 1, "maxOutstandingRequests": 2}}}
    async with running(app_of(handler), host_json=limits) as host, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(host.client.get("/api/events"))
        await entered.get()
        second = tasks.create_task(host.client.get("/api/events"))
        third = tasks.create_task(host.client.get("/api/events"))
        refused, _ = await asyncio.wait({second, third}, return_when=asyncio.FIRST_COMPLETED)
        in_flight = (await host.report())["functions"]["handler"]["in_flight"]
        go_on.set()

    assert [task.result().status_code for task in refused] == [429]
    assert in_flight == 1
    assert sorted(task.result().status_code for task in (first, second, third)) == [200, 200, 429]


async def test_a_function_over_its_time_limit_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The answer is 500, and the function is cancelled."""
    cancelled = asyncio.Event()

    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return func.HttpResponse(req.method)

    async with running(app_of(handler), host_json={"functionTimeout": "00:00:00.2"}) as host:
        response = await host.client.get("/api/events")

    assert response.status_code == 500
    assert cancelled.is_set()
    assert "Timeout value of 0.2 s was exceeded" in caplog.text


async def test_an_escaping_cancelled_error_is_never_answered(caplog: pytest.LogCaptureFixture) -> None:
    """The worker forgets such a call; only the time limit ends it."""

    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        raise asyncio.CancelledError(req.method)

    async with running(app_of(handler), host_json={"functionTimeout": "00:00:00.2"}) as host:
        response = await host.client.get("/api/events")

    assert response.status_code == 500
    assert "CancelledError escaped" in caplog.text
    assert "Timeout value" in caplog.text


async def test_a_request_in_flight_is_answered_before_the_host_stops() -> None:
    """New connections are refused meanwhile."""
    entered = asyncio.Event()
    go_on = asyncio.Event()

    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        entered.set()
        await go_on.wait()
        return func.HttpResponse(req.method)

    async with running(app_of(handler)) as host:
        answer = asyncio.create_task(host.client.get("/api/events"))
        await entered.wait()
        stop = asyncio.create_task(host.host.stop())
        await until(lambda: not host.host.listening)
        with pytest.raises(httpx.ConnectError):
            await host.client.get("/admin/host/status")
        go_on.set()
        assert (await answer).text == "GET"
        await stop
