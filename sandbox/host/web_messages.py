"""Between HTTP and the function: what the request is by the time Python sees it, and what an answer becomes.

From the host's GrpcMessageConversionExtensions and HttpBinding, and the library's HttpResponseConverter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func
from aiohttp import web
from azure.functions.http import HttpRequest, HttpResponseConverter
from azure.functions.meta import Datum
from multidict import CIMultiDict

# Set by the server itself; a function's own value would contradict the body that is sent.
_SERVER_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})


def to_function_request(request: web.BaseRequest, body: bytes, values: Mapping[str, str]) -> func.HttpRequest:
    """Make the `func.HttpRequest` that the worker gives to a function."""
    made: func.HttpRequest = HttpRequest(
        method=request.method,
        url=f"{request.scheme}://{request.host}{request.raw_path}",
        headers=_join(request.headers.items()),
        params=query_values(request.rel_url.raw_query_string),
        route_params=dict(values),
        body_type="bytes",
        body=body,
    )
    return made


def query_values(raw_query: str) -> dict[str, str]:
    """The query by name: repeats are joined by commas, names differ by more than case, empty values vanish."""
    names: dict[str, str] = {}
    pairs = parse_qsl(raw_query, keep_blank_values=True)
    joined = _join((names.setdefault(name.lower(), name).lower(), value) for name, value in pairs)
    return {names[name]: value for name, value in joined.items() if value}


def _join(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined


def to_web_response(result: object) -> web.Response:
    """Turn what the function returned into an HTTP answer. Raises `TypeError` or `ValueError` where it is none."""
    try:
        datum: Datum = HttpResponseConverter.encode(result, expected_type=None)
    except NotImplementedError:
        kind = type(result).__name__
        raise TypeError(f"an HTTP function must return func.HttpResponse or str, not {kind}") from None
    if datum.type == "string":
        return _from_text(datum.value)
    parts = datum.value
    # A dictionary: of a repeated header only the last survives, except Set-Cookie, which goes its own way.
    headers = CIMultiDict({name: value.value for name, value in parts["headers"].items()})
    for cookie in parts["cookies"] or ():
        for morsel in cookie.values():
            headers.add("Set-Cookie", morsel.OutputString())
    return _response(int(parts["status_code"].value), headers, parts["body"].value)


def _response(status: int, headers: CIMultiDict[str], body: bytes) -> web.Response:
    if not 100 <= status <= 999:
        raise ValueError(f"{status} is no HTTP status")
    for name in _SERVER_HEADERS:
        headers.popall(name, None)
    if any(mark in f"{name}{value}" for name, value in headers.items() for mark in "\r\n\0"):
        raise ValueError("a header of the answer holds a line break")
    return web.Response(status=status, headers=headers, body=body)


def _from_text(text: str) -> web.Response:
    """A returned string: JSON with a `body` is read as a whole response, other JSON is sent as JSON."""
    try:
        content = json.loads(text)
    except ValueError:
        return _text(200, text)
    if not isinstance(content, dict):
        return _json(200, content)
    parts = {name.lower(): value for name, value in content.items()}
    if "body" not in parts:
        return _json(200, content)
    status = parts.get("statuscode", parts.get("status", 200))
    headers = parts.get("headers")
    answer = _text if isinstance(parts["body"], str) else _json
    response = answer(int(status) if str(status).isdigit() else 200, parts["body"])
    for name, value in headers.items() if isinstance(headers, dict) else ():
        response.headers[name] = str(value)
    return response


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, body=text.encode(), headers={"Content-Type": "text/plain; charset=utf-8"})


def _json(status: int, content: Any) -> web.Response:
    if content is None:
        return web.Response(status=204)
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return web.Response(status=status, body=body, headers={"Content-Type": "application/json; charset=utf-8"})
