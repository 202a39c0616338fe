"""Paths and queries between the wire and a function, as ASP.NET reads and writes them.

A path is decoded once, before its dots are resolved and a route is looked for. What is no UTF-8 stays as it came, and
so does `%2F`, which must not become a slash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

# Encoded bytes that stand together, because a letter may be made of several; and the same without encoded slashes.
_BYTES = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_BYTES_BUT_SLASHES = re.compile(r"(?:%(?!2[fF])[0-9a-fA-F]{2})+")
# What ASP.NET writes as it is; a percent sign only where it begins an encoded byte.
_PLAIN = "!$&'()*+,;=:@/%"
_LONE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")


def decode_path(raw: str) -> str:
    """The path that routes are held against. Raises `ValueError` for one with a null."""
    path = _BYTES_BUT_SLASHES.sub(_decoded, raw)
    if "\0" in path:
        raise ValueError("a path cannot hold a null")
    return resolve_dots(path)


def decode_absolute_path(raw: str) -> str:
    """The same for the path of a whole URL in the request line, which .NET's `Uri` reads: it makes slashes of more."""
    return resolve_dots(_BYTES.sub(_decoded, raw.replace("\\", "/")))


def query_pairs(query: str) -> Iterator[tuple[str, str]]:
    """Names and values of a query, decoded; `query` begins with its question mark or is empty."""
    for pair in query.removeprefix("?").split("&"):
        name, _, value = pair.replace("+", " ").partition("=")
        if pair:
            yield _BYTES.sub(_decoded, name), _BYTES.sub(_decoded, value)


def encode_path(path: str) -> str:
    """A decoded path as it stands in the URL that a function gets."""
    return quote(_LONE_PERCENT.sub("%25", path), safe=_PLAIN)


def resolve_dots(path: str) -> str:
    """RFC 3986, 5.2.4: `.` is nothing, `..` takes the part before it away, at the root it does nothing."""
    parts = path.split("/")
    last_is_folder = parts[-1] in {".", ".."}
    resolved: list[str] = []
    for part in parts[1:]:
        if part == "..":
            del resolved[-1:]
        elif part != ".":
            resolved.append(part)
    return "/".join(["", *resolved, *([""] if last_is_folder else [])])


def _decoded(run: re.Match[str]) -> str:
    """Encoded bytes as text; those that are no UTF-8 stay encoded."""
    data, text = unquote_to_bytes(run[0]), ""
    while data:
        try:
            return text + data.decode()
        except UnicodeDecodeError as error:
            at = len(run[0]) // 3 - len(data)
            text += data[: error.start].decode() + run[0][3 * (at + error.start) : 3 * (at + error.end)]
            data = data[error.end :]
    return text
