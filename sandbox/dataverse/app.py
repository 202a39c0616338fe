"""The stand-in on the wire: an aiohttp application that logs requests and carries out faults.

What a request means is in `api`, the stand-in's own levers are in `control`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final
from uuid import uuid4

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.certificates import Certificates
from sandbox.dataverse.api import answer_call, refused
from sandbox.dataverse.call import Answer, Call, encode
from sandbox.dataverse.control import add_control_routes
from sandbox.dataverse.errors import query_error
from sandbox.dataverse.faults import LATE, Fault
from sandbox.dataverse.seed import seed
from sandbox.dataverse.store import Store
from sandbox.identity.app import TENANT_ID
from sandbox.identity.checking import is_accepted

STORE: Final = web.AppKey("store", Store)
STOPPING: Final = web.AppKey("stopping", asyncio.Event)
TOKEN_KEY: Final[web.AppKey[RSAPublicKey | None]] = web.AppKey("token_key")
VERSIONS: Final = frozenset({"v9.0", "v9.1", "v9.2"})
_LONGEST_NAME: Final = 40
_LARGEST_BODY: Final = 16 * 1024 * 1024
_JSON: Final = "application/json; odata.metadata=minimal"
_CONSTANT_HEADERS: Final = {
    "OData-Version": "4.0",
    "Cache-Control": "no-cache",
    "x-ms-dop-hint": "48",
    "Set-Cookie": "ARRAffinity=sandbox-server-one; path=/; HttpOnly",
}


def create_app(store: Store | None = None, *, certificates: Certificates | None = None) -> web.Application:
    """Return the application over a given store, taken as it is, or over a new one with the default people in it.

    With certificates, callers behind TLS must bring a token for the name by which they call.
    """
    if store is None:
        store = Store()
        seed(store)
    app = web.Application(client_max_size=_LARGEST_BODY)
    app[STORE] = store
    app[STOPPING] = asyncio.Event()
    app[TOKEN_KEY] = certificates.private_key().public_key() if certificates else None
    app.on_shutdown.append(_release_held_answers)
    app.router.add_route("*", "/api/data/{version}/{path:.*}", _handle)
    add_control_routes(app, store)
    return app


async def _release_held_answers(app: web.Application) -> None:
    app[STOPPING].set()


async def _handle(request: web.Request) -> web.StreamResponse:
    # the service does not drop a write because its client has hung up, so neither does this, whatever the runner's rule
    return await asyncio.shield(asyncio.create_task(_serve(request)))


async def _serve(request: web.Request) -> web.Response:
    store = request.app[STORE]
    body = await request.read()
    entity = request.match_info["path"].partition("(")[0].partition("/")[0][:_LONGEST_NAME]
    fault = store.faults.draw(method=request.method, entity=entity)
    if store.faults.latency_ms:
        await asyncio.sleep(store.faults.latency_ms / 1000)
    if fault is not None and fault.kind == LATE:
        await _hold(request, fault)
    if fault is not None and fault.refuses:
        answer = refused(fault.error())
    else:
        answer = _without_token(request) or _answer(request, body, store)
    broken = fault is not None and fault.breaks_connection
    request_id = str(uuid4())
    store.log.add(
        method=request.method,
        path=request.path,
        query=request.query_string,
        entity=entity,
        headers=request.headers,
        body=body,
        status=0 if broken else answer.status,
        fault=None if fault is None else fault.kind,
        service_request_id=request_id,
    )
    if fault is not None and broken:
        await _break_connection(request, fault)
    return _response(answer, request_id=request_id, store=store)


def _answer(request: web.Request, body: bytes, store: Store) -> Answer:
    version = request.match_info["version"]
    if version not in VERSIONS:
        reason = f"The API version {version!r} is not served; use one of {sorted(VERSIONS)}."
        return refused(query_error(reason, status=404))
    return answer_call(
        Call(
            method=request.method,
            base=f"{request.scheme}://{request.host}/api/data/{version}",
            path=request.match_info["path"],
            options=request.query,
            headers=request.headers,
            body=body,
            store=store,
        )
    )


def _without_token(request: web.Request) -> Answer | None:
    """The refusal of a caller behind TLS whose token is not for this organisation; it has no body."""
    key = request.app[TOKEN_KEY]
    audience = f"https://{request.host}"
    if key is None or not request.secure:
        return None
    if is_accepted(request.headers.get("Authorization"), audience=audience, key=key):
        return None
    authority = f"https://login.microsoftonline.com/{TENANT_ID}/oauth2/authorize"
    challenge = f"Bearer authorization_uri={authority}, resource_id={audience}/"
    return Answer(401, headers=(("WWW-Authenticate", challenge),))


async def _hold(request: web.Request, fault: Fault) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(fault.hold_seconds):
            await request.app[STOPPING].wait()


async def _break_connection(request: web.Request, fault: Fault) -> None:
    """Close the connection under the client's feet; a time-out first keeps it waiting."""
    if fault.kind == "timeout":
        await _hold(request, fault)
    if request.transport is not None:
        request.transport.abort()


def _response(answer: Answer, *, request_id: str, store: Store) -> web.Response:
    headers = {
        **_CONSTANT_HEADERS,
        "x-ms-service-request-id": request_id,
        "REQ_ID": request_id,
        "x-ms-ratelimit-burst-remaining-xrm-requests": str(max(0, 8000 - store.log.total % 8000)),
        "x-ms-ratelimit-time-remaining-xrm-requests": "1,200.00",
        **dict(answer.headers),
    }
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    headers["Content-Type"] = _JSON
    return web.Response(status=answer.status, headers=headers, body=encode(answer.body))
