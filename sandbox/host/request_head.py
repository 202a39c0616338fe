"""The head of an HTTP/1.1 request, read as Kestrel reads it, the server of the real host.

The parsers of Python's libraries refuse, mend or hide what Kestrel takes or refuses: methods in lower case, dots in a
path, a header folded over two lines, a length that stands there twice. What was measured is a table of the tests.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sandbox.host.paths import decode_absolute_path, decode_path

# https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/options, in bytes; line breaks count.
MAX_REQUEST_LINE: Final = 8192
MAX_HEADERS_TOTAL: Final = 32_768
MAX_HEADERS: Final = 100

_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSIONS: Final = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}
_NAME = re.compile(rb"[^\x00-\x20\x7f-\xff:]+")
_HOST = re.compile(r"(?:[^\x00-\x20\"#%/:<>?@\[\\\]^`{|}\x7f-\U0010ffff]*|\[[0-9a-fA-F:.]+\])(?::\d*)?")
_LENGTH = re.compile(r"\+?\d{1,18}", re.ASCII)
_DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


class BadRequest(Exception):
    """A request that never reaches the host: `status`, an empty body and the end of the connection answer it."""

    def __init__(self, status: int, *, allow: str = "") -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.allow = allow


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What stands before the body: `path` decoded, `query` as it came from its `?` on, header names in lower case.

    `method` in the letters that it came in: routes take any, but only `HEAD` itself is answered without a body.
    """

    method: str
    path: str
    query: str
    version: str
    headers: tuple[tuple[str, str], ...]
    content_length: int | None
    chunked: bool

    def header(self, name: str) -> str | None:
        """The first header of this name, or None."""
        return next((value for known, value in self.headers if known == name), None)

    @property
    def keeps_alive(self) -> bool:
        """Whether the caller wants the connection to stay."""
        tokens = (
            token.strip().lower() for name, value in self.headers if name == "connection" for token in value.split(",")
        )
        return self.version == "1.1" and "close" not in tokens


async def read_head(reader: asyncio.StreamReader) -> RequestHead | None:
    """The next request's head; None where the caller has gone. Raises `BadRequest`."""
    line = b"\n"
    while line in {b"\n", b"\r\n"}:
        line = await _read_line(reader, status=414)
    if not line:
        return None
    if len(line) > MAX_REQUEST_LINE:
        raise BadRequest(414)
    method, target, version = _request_line(line.removesuffix(b"\n").removesuffix(b"\r"))
    headers = await _read_headers(reader)
    return None if headers is None else _head(method, target, version, headers)


async def _read_line(reader: asyncio.StreamReader, *, status: int) -> bytes:
    """One line with its end, or nothing where the connection ends before. Raises `BadRequest` for one too long."""
    try:
        line = await reader.readline()
    except ValueError as error:
        raise BadRequest(status) from error
    return line if line.endswith(b"\n") else b""


def _request_line(line: bytes) -> tuple[str, str, str]:
    method, _, rest = line.partition(b" ")
    target, _, version = rest.partition(b" ")
    if not _METHOD.fullmatch(method) or not target or not target.isascii() or b"\0" in target:
        raise BadRequest(400)
    if version not in _VERSIONS:
        looks_like_one = len(version) == len(b"HTTP/1.1") or not version
        raise BadRequest(505 if looks_like_one else 400)
    return method.decode(), target.decode(), _VERSIONS[version]


async def _read_headers(reader: asyncio.StreamReader) -> list[tuple[str, str]] | None:
    headers: list[tuple[str, str]] = []
    total = 0
    while line := await _read_line(reader, status=431):
        if line in {b"\n", b"\r\n"}:
            return headers
        total += len(line)
        if total > MAX_HEADERS_TOTAL or len(headers) == MAX_HEADERS:
            raise BadRequest(431)
        headers.append(_header(line.removesuffix(b"\n").removesuffix(b"\r")))
    return None


def _header(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name) or b"\r" in value or b"\0" in value:
        raise BadRequest(400)
    try:
        return name.decode().lower(), value.strip(b" \t").decode()
    except UnicodeDecodeError as error:
        raise BadRequest(400) from error


def _head(method: str, target: str, version: str, headers: list[tuple[str, str]]) -> RequestHead:
    hosts = _values(headers, "host")
    if len(hosts) > 1 or (version == "1.1" and not hosts) or not all(map(_HOST.fullmatch, hosts)):
        raise BadRequest(400)
    path, query = _target(method, target, hosts[0] if hosts else "")
    headers, length, chunked = _framing(method, version, headers)
    return RequestHead(method, path, query, version, tuple(headers), length, chunked)


def _framing(
    method: str, version: str, headers: list[tuple[str, str]]
) -> tuple[list[tuple[str, str]], int | None, bool]:
    """The headers as they are handed on, the body's length, and whether it comes in chunks instead."""
    encodings = [token.strip().lower() for value in _values(headers, "transfer-encoding") for token in value.split(",")]
    lengths = _values(headers, "content-length")
    if encodings:
        if encodings[-1] != "chunked":
            raise BadRequest(400)
        # A length beside chunks says nothing; it is handed on under another name.
        return [(f"x-{name}" if name == "content-length" else name, value) for name, value in headers], None, True
    if not lengths:
        if version == "1.0" and method.upper() in {"POST", "PUT"}:
            raise BadRequest(400)
        return headers, None, False
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise BadRequest(400)
    length = int(lengths[0])
    return [(name, str(length) if name == "content-length" else value) for name, value in headers], length, False


def _values(headers: list[tuple[str, str]], wanted: str) -> list[str]:
    return [value for name, value in headers if name == wanted]


def _target(method: str, target: str, host: str) -> tuple[str, str]:
    """Path and query of a request target in one of its forms: https://www.rfc-editor.org/rfc/rfc9112#section-3.2."""
    if target == "*":
        if method != "OPTIONS":
            raise BadRequest(405, allow="OPTIONS")
        return "", ""
    if target.startswith("/"):
        raw, mark, query = target.partition("?")
        try:
            return decode_path(raw), mark + query
        except ValueError as error:
            raise BadRequest(400) from error
    return _absolute_target(target, host)


def _absolute_target(target: str, host: str) -> tuple[str, str]:
    try:
        url = urlsplit(target)
        wanted = urlsplit(f"//{host}")
        port = _DEFAULT_PORTS[url.scheme]
        same = (url.hostname, url.port or port) == (wanted.hostname, wanted.port or port)
    except (ValueError, KeyError) as error:
        raise BadRequest(400) from error
    if not same or not target.startswith(("http://", "https://")):
        raise BadRequest(400)
    return decode_absolute_path(url.path or "/"), f"?{url.query}" if url.query else ""
