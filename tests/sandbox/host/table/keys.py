"""Rows about keys: who may call a function, the host's own routes, and those of its extensions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.sandbox.host.hosts import ADMIN_KEY, BODY_LIMIT, FUNCTION_KEY
from tests.sandbox.host.raw import request
from tests.sandbox.host.table.row import (
    ANY,
    BEARER,
    BY_ADMIN_KEY,
    BY_FUNCTION_KEY,
    EMPTY,
    JSON,
    Row,
    called,
    get,
    post,
    refused,
)

# What the real host has for admins; on the way there `..` and letter case do not count.
FOR_ADMINS: Final = (
    "/admin/host/status",
    "/Admin/Host/Status",
    "/admin/../admin/host/status",
    "/admin/host/keys",
    "/admin/host/systemkeys",
    "/admin/host/config",
    "/admin/functions",
    "/admin/functions/work",
    "/admin/functions/nowhere",
    "/admin/functions/work/status",
    "/admin/instance/info",
    "/runtime/webhooks/x",
    "/RUNTIME/webhooks/x/y",
)
FOR_NOBODY: Final = (
    "/admin",
    "/admin/",
    "/admin/nothing",
    "/admin/extensions/x",
    "//admin/host/status",
    "/api/admin/host/status",
    "/runtime",
    "/runtime/webhooks",
    "/runtime/x",
)


def keys() -> Iterator[Row]:
    """In the header or in the query; of several the first counts, and the header before the query."""
    target, function = "/api/for-function", "for_function"
    for level in ("function", "admin"):
        place = f"/api/for-{level}"
        yield refused(f"no key, level {level}", get(place), 401, headers={**EMPTY, "www-authenticate": None})
        yield refused(f"a wrong key, level {level}", get(place, "x-functions-key: wrong"), 401)
        yield refused(f"a wrong key in the query, level {level}", get(f"{place}?code=wrong"), 401)
        yield called(f"the admin key, level {level}", get(place, BY_ADMIN_KEY), f"for_{level}")
        yield called(f"the admin key in the query, level {level}", get(f"{place}?code={ADMIN_KEY}"), f"for_{level}")
    yield refused("the function key, level admin", get("/api/for-admin", BY_FUNCTION_KEY), 401)
    yield called("a wrong key, level anonymous", get("/api/echo", "x-functions-key: wrong"), "echo")
    right = {
        "the function key": get(target, BY_FUNCTION_KEY),
        "the header's name in capitals": get(target, f"X-FUNCTIONS-KEY: {FUNCTION_KEY}"),
        "the function key in the query": get(f"{target}?code={FUNCTION_KEY}"),
        "the query's name in capitals": get(f"{target}?CODE={FUNCTION_KEY}"),
        "a key in other letters": get(f"{target}?code={FUNCTION_KEY.upper()}"),
        "an encoded key": get(f"{target}?code=%66{FUNCTION_KEY[1:]}"),
        "a right header, a wrong query": get(f"{target}?code=wrong", BY_FUNCTION_KEY),
        "a right header, then a wrong one": get(target, BY_FUNCTION_KEY, "x-functions-key: wrong"),
        "a right query, then a wrong one": get(f"{target}?code={FUNCTION_KEY}&code=wrong"),
    }
    for name, raw in right.items():
        yield called(name, raw, function)
    wrong = {
        "a key with a space": get(f"{target}?code={FUNCTION_KEY}%20"),
        "a wrong header, a right query": get(f"{target}?code={FUNCTION_KEY}", "x-functions-key: wrong"),
        "an empty header, a right query": get(f"{target}?code={FUNCTION_KEY}", "x-functions-key:"),
        "a wrong header, then a right one": get(target, "x-functions-key: wrong", BY_FUNCTION_KEY),
        "no key, and a body that does not come": request(f"POST {target}", "Content-Length: 900000"),
        "no key, and a body over the limit": post(target, b"x" * (BODY_LIMIT + 1)),
    }
    for name, raw in wrong.items():
        yield refused(name, raw, 401)


def admin() -> Iterator[Row]:
    """The host's own routes, and those of its extensions."""
    for target in FOR_ADMINS:
        yield refused(f"{target} without a key", get(target), 401, headers={**EMPTY, **BEARER})
        yield refused(f"{target} with a function key", get(target, BY_FUNCTION_KEY), 403, headers=EMPTY)
    for target in FOR_NOBODY:
        yield refused(f"{target}, for anybody", get(target), 404, headers=EMPTY)
        yield refused(f"{target}, for an admin", get(target, BY_ADMIN_KEY), 404)
    for target in ("/admin/vfs/", "/admin/vfs/host.json"):
        yield refused(f"{target} without a key", get(target), 401, headers={"www-authenticate": None})
        yield refused(f"{target} with a function key", get(target, BY_FUNCTION_KEY), 401)
        yield refused(f"{target}, for an admin", get(target, BY_ADMIN_KEY), 403)
    status = "/admin/host/status"
    typed = {"content-type": "application/json; charset=utf-8"}
    yield refused(f"{status} with a wrong key", get(status, "x-functions-key: wrong"), 401, headers=BEARER)
    yield refused(f"{status}, for an admin", get(status, BY_ADMIN_KEY), 200, body=None, headers=typed)
    yield refused(f"{status}, the key in the query", get(f"{status}?code={ADMIN_KEY}"), 200, body=None)
    yield refused(f"{status}/, for an admin", get(f"{status}/", BY_ADMIN_KEY), 200, body=None)
    yield refused(f"{status} with POST", post(status, b"", BY_ADMIN_KEY), 404)
    yield refused(f"{status} with HEAD", request(f"HEAD {status}", BY_ADMIN_KEY), 404)
    for method in ("GET", "POST"):
        yield refused(f"/admin/host/ping with {method}", request(f"{method} /admin/host/ping"), 200, headers=EMPTY)
    yield refused("/admin/warmup", get("/admin/warmup"), 200, headers=EMPTY)
    yield refused("/runtime/webhooks/x, for an admin", get("/runtime/webhooks/x", BY_ADMIN_KEY), 404)
    yield refused("the list of functions, for an admin", get("/admin/functions", BY_ADMIN_KEY), 200, body=None)
    yield refused("the keys, for an admin", get("/admin/host/keys", BY_ADMIN_KEY), 200, body=None)
    yield refused("the sandbox's own route", get("/__sandbox/host"), 404)


def runs_by_hand() -> Iterator[Row]:
    """A function that an admin runs: https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http."""
    run, order = "/admin/functions/work", b'{"input": "by hand"}'
    yield refused("a run by hand without a key", post(run, order, JSON), 401, headers=BEARER)
    yield refused("a run by hand with a function key", post(run, order, JSON, BY_FUNCTION_KEY), 403)
    yield refused("a run by hand", post(run, order, JSON, BY_ADMIN_KEY), 202, headers=EMPTY)
    yield refused("a run by hand, with its letters", post(run, order, f"{JSON}; charset=utf-8", BY_ADMIN_KEY), 202)
    yield refused("a run by hand without input", post(run, b"{}", JSON, BY_ADMIN_KEY), 202)
    yield refused("a run by hand of nothing", post("/admin/functions/nowhere", order, JSON, BY_ADMIN_KEY), 404)
    yield refused("a run by hand of no type", post(run, order, BY_ADMIN_KEY), 415, headers=EMPTY)
    yield refused("a run by hand of text", post(run, order, "Content-Type: text/plain", BY_ADMIN_KEY), 415)
    for name, body in {"no JSON": b'{"i', "a list": b"[]", "null": b"null", "no body": b""}.items():
        yield refused(f"a run by hand with {name}", post(run, body, JSON, BY_ADMIN_KEY), 400, headers=EMPTY)
    over = b"x" * (BODY_LIMIT + 1)
    yield refused("a run by hand with a body over the limit", post(run, over, JSON, BY_ADMIN_KEY), 500, headers=EMPTY)
    function = post("/admin/functions/echo", order, JSON, BY_ADMIN_KEY)
    yield refused("an HTTP function by hand", function, 202, function=ANY)
