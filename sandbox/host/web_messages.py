"""Between HTTP and the function: what the request is by the time Python sees it, and what an answer becomes.

From the host's GrpcMessageConversionExtensions and HttpBinding, and the library's HttpResponseConverter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from email.utils import format_datetime, parsedate_to_datetime
from http.cookies import Morsel
from typing import Any
from urllib.parse import quote

import azure.functions as func
from azure.functions.http import HttpRequest, HttpResponseConverter
from azure.functions.meta import Datum

from sandbox.host.paths import encode_path, query_pairs
from sandbox.host.request_head import RequestHead
from sandbox.host.server import Answer

# Said by the server itself.
_SERVER_HEADERS = frozenset({"transfer-encoding", "connection"})
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


def to_function_request(head: RequestHead, body: bytes, values: Mapping[str, str]) -> func.HttpRequest:
    """Make the `func.HttpRequest` that the worker gives to a function. Raises `ValueError` without a host's name."""
    host = head.header("host")
    if not host:
        raise ValueError("a request without a host's name has no URL")
    made: func.HttpRequest = HttpRequest(
        method=head.method.upper(),
        url=f"http://{host}{encode_path(head.path)}{head.query.replace('#', '%23')}",
        headers=_join(head.headers),
        params=_query_values(head.query),
        route_params=dict(values),
        body_type="bytes",
        body=body,
    )
    return made


def _query_values(query: str) -> dict[str, str]:
    """The query by name: repeats are joined by commas, names differ by more than case, empty values vanish."""
    names: dict[str, str] = {}
    joined = _join((names.setdefault(name.lower(), name).lower(), value) for name, value in query_pairs(query))
    return {names[name]: value for name, value in joined.items() if value}


def _join(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def to_answer(result: object) -> Answer:
    """Turn what the function returned into an answer. Raises `TypeError` or `ValueError` where it is none."""
    try:
        datum: Datum = HttpResponseConverter.encode(result, expected_type=None)
    except NotImplementedError:
        kind = type(result).__name__
        raise TypeError(f"an HTTP function must return func.HttpResponse or str, not {kind}") from None
    if datum.type == "string":
        return _from_text(datum.value)
    parts = datum.value
    # A dictionary: of a repeated header only the last survives, except Set-Cookie, which goes its own way.
    headers = {name: str(value.value) for name, value in parts["headers"].items()}
    cookies = [_cookie(morsel) for cookie in parts["cookies"] or () for morsel in cookie.values()]
    return _answer(int(parts["status_code"].value), headers, cookies, parts["body"].value)


def _answer(status: int, headers: Mapping[str, str], cookies: Iterable[str], body: bytes) -> Answer:
    if not 200 <= status <= 999:
        raise ValueError(f"{status} is no HTTP status of an answer")
    sent = [(name, value) for name, value in headers.items() if name.lower() not in _SERVER_HEADERS]
    for name, value in sent:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError("a header of the answer holds what no header can hold")
    return Answer(status, (*sent, *(("Set-Cookie", cookie) for cookie in cookies)), body, streamed=True)


def _cookie(morsel: Morsel[str]) -> str:
    """A cookie as the host writes it anew from its parts: `domain` and `path` always, the value escaped."""
    parts = [f"{morsel.key}={quote(morsel.value, safe='')}"]
    if morsel["expires"]:
        parts.append(f"expires={format_datetime(parsedate_to_datetime(morsel['expires']), usegmt=True)}")
    if morsel["max-age"]:
        parts.append(f"max-age={int(morsel['max-age'])}")
    parts += [f"domain={morsel['domain']}", f"path={morsel['path']}"]
    parts += ["secure"] if morsel["secure"] else []
    same_site = morsel["samesite"].lower()
    parts += [f"samesite={same_site}"] if same_site in {"strict", "lax", "none"} else []
    return "; ".join([*parts, *(["httponly"] if morsel["httponly"] else [])])


def _from_text(text: str) -> Answer:
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
    given = {name: str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
    return answer(int(status) if str(status).isdigit() else 200, parts["body"], given)


def _text(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    return _answer(status, {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}, (), text.encode())


def _json(status: int, content: Any, headers: Mapping[str, str] | None = None) -> Answer:
    if content is None:
        return Answer(204)
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return _answer(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, (), body)
