"""The stand-in on the wire: an aiohttp application with the API, the token endpoints and the control routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from sandbox.outreach import webhooks
from sandbox.outreach.control import PREFIX, add_control_routes
from sandbox.outreach.errors import (
    MEDIA_TYPE,
    Refusal,
    api_error,
    missing_scope,
    not_found,
    rate_limited,
    wrong_media_type,
)
from sandbox.outreach.faults import Fault
from sandbox.outreach.query import read_query, select
from sandbox.outreach.records import RESOURCES, Record, Resource
from sandbox.outreach.seed import seed
from sandbox.outreach.store import Store
from sandbox.outreach.tokens import Origin

STORE: Final = web.AppKey("store", Store)
STOPPING: Final = web.AppKey("stopping", asyncio.Event)
LARGEST_BODY: Final = 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(store: Store | None = None) -> web.Application:
    """The application over a given store, or over a new one with the default records in it."""
    if store is None:
        store = Store()
        seed(store)
    app = web.Application(client_max_size=LARGEST_BODY, middlewares=[_watched])
    app[STORE] = store
    app[STOPPING] = asyncio.Event()
    app.on_shutdown.append(_release_held_answers)
    app.router.add_post("/oauth/token", _refresh_token)
    app.router.add_post("/api/app/installs/{install_id}/actions/accessToken", _s2s_token)
    app.router.add_get("/api/v2/{collection}", _list)
    app.router.add_get("/api/v2/{collection}/{id}", _read)
    app.router.add_post("/api/v2/webhooks", _create_webhook)
    app.router.add_patch("/api/v2/webhooks/{id}", _update_webhook)
    app.router.add_delete("/api/v2/webhooks/{id}", _delete_webhook)
    add_control_routes(app, store)
    return app


async def _release_held_answers(app: web.Application) -> None:
    app[STOPPING].set()


@web.middleware
async def _watched(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Log every request but the control routes', put trouble in its way, and turn refusals into answers."""
    if request.path.startswith(PREFIX):
        return await handler(request)
    store = request.app[STORE]
    if store.faults.latency_ms:
        await asyncio.sleep(store.faults.latency_ms / 1000)
    fault = store.faults.draw(request.path)
    refusal = fault.refusal() if fault is not None else None
    response: web.StreamResponse | None = None
    if refusal is not None:
        response = refusal.response()
    elif fault is None or fault.kind == "drop_after":
        response = await _answered(request, handler)
    broken = fault is not None and refusal is None
    store.log.add(
        method=request.method,
        path=request.path,
        query=request.query_string,
        content_type=request.headers.get("Content-Type", ""),
        traceparent=request.headers.get("traceparent", ""),
        status=0 if broken or response is None else response.status,
        fault=None if fault is None else fault.kind,
    )
    if fault is not None and broken:
        await _break_connection(request, fault)
    return response if response is not None else web.Response(status=500)


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refused:
        return refused.response()
    except web.HTTPException as error:
        # A path or method that is not served; Outreach answers in JSON:API form.
        title = error.reason or "Error"
        return api_error(error.status, "resourceNotFound", title, "There is nothing here.").response()


async def _break_connection(request: web.Request, fault: Fault) -> None:
    if fault.kind == "timeout":
        try:
            async with asyncio.timeout(fault.hold_seconds):
                await request.app[STOPPING].wait()
        except TimeoutError:
            pass
    if request.transport is not None:
        request.transport.abort()


def _admit(request: web.Request, scope: str) -> tuple[Origin, dict[str, str]]:
    """Who calls, and the rate-limit headers of the answer. Raises what Outreach would answer otherwise."""
    store = request.app[STORE]
    origin: Origin = "development"
    if store.switches.bearer == "check":
        origin = store.tokens.check(request.headers.get("Authorization"))
    if store.switches.media_type == "strict" and request.content_type != MEDIA_TYPE:
        raise wrong_media_type()
    remaining, reset = store.count_request()
    if remaining < 0:
        raise rate_limited(str(max(1, int(reset - store.clock.now()))))
    if scope in store.switches.missing_scopes:
        raise missing_scope(scope)
    limit = store.switches.rate_limit
    # Both forms have been seen: one number, and the numbers of two limits in one header.
    several = store.log.total % 2 == 1
    return origin, {
        "X-RateLimit-Limit": f"{limit}, {2 * limit}" if several else str(limit),
        "X-RateLimit-Remaining": f"{remaining}, {limit + remaining}" if several else str(remaining),
        "X-RateLimit-Reset": str(reset),
    }


def _resource(request: web.Request) -> Resource:
    resource = RESOURCES.get(request.match_info["collection"])
    if resource is None:
        raise api_error(404, "resourceNotFound", "Resource Not Found", "There is no such collection.")
    return resource


def _record(request: web.Request, resource: Resource) -> Record:
    text = request.match_info["id"]
    record = request.app[STORE].records[resource.type].get(int(text)) if text.isdecimal() else None
    if record is None:
        raise not_found(resource.type, text)
    return record


def _base(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}/api/v2"


def _document(body: dict[str, Any], headers: dict[str, str], *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), headers={**headers, "Content-Type": MEDIA_TYPE})


async def _list(request: web.Request) -> web.Response:
    resource = _resource(request)
    _, headers = _admit(request, resource.scope)
    query = read_query(request.query, resource)
    page = select(request.app[STORE].records[resource.type].values(), query)
    base = _base(request)
    body: dict[str, Any] = {
        "data": [
            record.resource_object(base, connections=query.connections, only=query.only) for record in page.records
        ]
    }
    if query.count:
        body["meta"] = {"count": page.total, "count_truncated": False}
    if page.records:  # an empty answer has no links at all
        here = request.url.without_query_params("page[after]")
        body["links"] = {"first": str(here)}
        if page.cursor is not None:
            body["links"]["next"] = str(here.update_query({"page[after]": page.cursor}))
    return _document(body, headers)


async def _read(request: web.Request) -> web.Response:
    resource = _resource(request)
    _, headers = _admit(request, resource.scope)
    query = read_query(request.query, resource)
    record = _record(request, resource)
    shown = record.resource_object(_base(request), connections=query.connections, only=query.only)
    return _document({"data": shown}, headers)


async def _json(request: web.Request) -> object:
    try:
        return await request.json()
    except ValueError as error:
        raise api_error(400, "badRequest", "Bad Request", "The body is not JSON.") from error


async def _create_webhook(request: web.Request) -> web.Response:
    origin, headers = _admit(request, "webhooks.write")
    record = webhooks.create(request.app[STORE], await _json(request), origin=origin)
    return _document({"data": record.resource_object(_base(request))}, headers, status=201)


async def _update_webhook(request: web.Request) -> web.Response:
    _, headers = _admit(request, "webhooks.write")
    record = _record(request, RESOURCES["webhooks"])
    webhooks.update(request.app[STORE], record, await _json(request))
    return _document({"data": record.resource_object(_base(request))}, headers)


async def _delete_webhook(request: web.Request) -> web.Response:
    _, headers = _admit(request, "webhooks.delete")
    record = _record(request, RESOURCES["webhooks"])
    del request.app[STORE].records["webhook"][record.id]
    return web.Response(status=204, headers=headers)


async def _refresh_token(request: web.Request) -> web.Response:
    """OAuth wants a form, and `redirect_uri` in it on every refresh."""
    store = request.app[STORE]
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    answer = store.tokens.refresh(
        form, used_before=store.switches.used_refresh_token, throttle=store.switches.token_throttle
    )
    return web.json_response(answer)


async def _s2s_token(request: web.Request) -> web.Response:
    store = request.app[STORE]
    token = store.tokens.exchange(
        request.match_info["install_id"],
        request.headers.get("Authorization"),
        throttle=store.switches.token_throttle,
    )
    return web.json_response({"data": {"meta": {"accessToken": token}}})
