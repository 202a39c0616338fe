"""ASP.NET route templates: `events/{id}`, `{id?}`, `{id:int}`, `{name=value}`, `{*rest}`.

https://learn.microsoft.com/aspnet/core/fundamentals/routing. Letter case of literals does not matter. Paths come
decoded (`paths.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_TOKEN = re.compile(
    r"\{(?P<rest>\*{0,2})(?P<name>[^{}:=?*]+)(?P<constraints>(?::[^{}=?]+)?)(?P<default>(?:=[^{}?]*)?)(?P<optional>\??)\}"
)

# Only these letters: the long s of old prints is none of ASP.NET's.
_LETTER_CASE = re.IGNORECASE | re.ASCII

_ARGUMENTS: Final[dict[str, Callable[[str, list[int]], bool]]] = {
    "min": lambda value, numbers: _is_whole(value) and int(value) >= numbers[0],
    "max": lambda value, numbers: _is_whole(value) and int(value) <= numbers[0],
    "range": lambda value, numbers: _is_whole(value) and numbers[0] <= int(value) <= numbers[1],
    "minlength": lambda value, numbers: len(value) >= numbers[0],
    "maxlength": lambda value, numbers: len(value) <= numbers[0],
    "length": lambda value, numbers: numbers[0] <= len(value) <= numbers[-1],
}
_GUID = r"\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?"
_PATTERNS: Final[dict[str, str]] = {
    "alpha": r"[a-zA-Z]*",
    "bool": r"(?i:true|false)",
    "guid": _GUID,
    "decimal": r"[+-]?\d+(?:\.\d+)?",
    "double": r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "float": r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "required": r".+",
}
_WHOLE: Final[dict[str, int]] = {"int": 31, "long": 63}

LITERAL, MIXED, PARAMETER, REST = range(4)


def _is_whole(value: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d{1,19}\s*", value, re.ASCII) is not None


def _constraint(text: str) -> Callable[[str], bool]:
    """Turn `int` or `range(1,5)` into a check. Raises `ValueError` for one that is not known."""
    name, _, rest = text.partition("(")
    name = name.strip().lower()
    if name in _WHOLE:
        limit = 1 << _WHOLE[name]
        return lambda value: _is_whole(value) and -limit <= int(value) < limit
    if name in _PATTERNS:
        pattern = re.compile(_PATTERNS[name])
        return lambda value: pattern.fullmatch(value) is not None
    if name in _ARGUMENTS:
        check = _ARGUMENTS[name]
        numbers = [int(number) for number in rest.rstrip(")").split(",")]
        return lambda value: check(value, numbers)
    raise ValueError(f"unknown route constraint {text!r}")


@dataclass(frozen=True, slots=True)
class _Segment:
    text: str
    pattern: re.Pattern[str]
    kind: int
    names: tuple[str, ...] = ()
    checks: tuple[tuple[str, Callable[[str], bool]], ...] = ()
    default: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """One parsed template."""

    text: str
    segments: tuple[_Segment, ...] = field(repr=False)

    def match(self, path: str) -> dict[str, str] | None:
        """The values of a path, or None where it does not match."""
        inner = path.removeprefix("/")
        parts = inner.removesuffix("/").split("/") if inner else []
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.kind == REST:
                part: str | None = "/".join(inner.split("/")[index:])
            else:
                part = parts[index] if index < len(parts) else None
            if not _take(segment, part, values):
                return None
        return values if self.takes(len(parts)) else None

    def takes(self, parts: int) -> bool:
        """Whether a path of so many parts can match."""
        needed = sum(not segment.optional and segment.default is None for segment in self.segments)
        has_rest = bool(self.segments) and self.segments[-1].kind == REST
        return needed <= parts and (has_rest or parts <= len(self.segments))


def overlap(one: RouteTemplate, other: RouteTemplate) -> bool:
    """Whether one path could match both. What constraints let through is not asked: they count as none."""
    return any(
        one.takes(parts) and other.takes(parts) and all(map(_meet, one.segments[:parts], other.segments[:parts]))
        for parts in range(max(len(one.segments), len(other.segments)) + 1)
    )


def _meet(one: _Segment, other: _Segment) -> bool:
    """Whether one part of a path could fit both."""
    if one.kind == LITERAL:
        return other.pattern.fullmatch(one.text) is not None
    return other.kind != LITERAL or one.pattern.fullmatch(other.text) is not None


def _take(segment: _Segment, part: str | None, values: dict[str, str]) -> bool:
    if part is None or (part == "" and segment.kind == REST):
        if segment.default is not None:
            values[segment.names[0]] = segment.default
        return segment.optional or segment.default is not None
    found = segment.pattern.fullmatch(part)
    if found is None:
        return False
    taken = dict(zip(segment.names, found.groups(), strict=True))
    if any(not check(taken[name]) for name, check in segment.checks):
        return False
    values.update(taken)
    return True


def parse_template(text: str) -> RouteTemplate:
    """Parse a route template. Raises `ValueError` with what is wrong."""
    parts = text.strip("/").split("/") if text.strip("/") else []
    segments = tuple(_parse_segment(part) for part in parts)
    names = [name.lower() for segment in segments for name in segment.names]
    if len(set(names)) != len(names):
        raise ValueError(f"route {text!r} uses a parameter name twice")
    for segment in segments[:-1]:
        if segment.optional or segment.kind == REST:
            raise ValueError(f"route {text!r}: only the last part may be optional or a catch-all")
    return RouteTemplate(text, segments)


def _parse_segment(part: str) -> _Segment:
    tokens = list(_TOKEN.finditer(part))
    literal = _TOKEN.sub("", part)
    if "{" in literal or "}" in literal or "?" in literal or "*" in literal:
        raise ValueError(f"route part {part!r} is not understood")
    checks = [
        (token["name"], _constraint(constraint))
        for token in tokens
        for constraint in token["constraints"].split(":")[1:]
    ]
    if not tokens:
        return _Segment(part, re.compile(re.escape(part), _LETTER_CASE), LITERAL)
    names = tuple(token["name"] for token in tokens)
    if len(tokens) > 1 or literal:
        return _Segment(part, _mixed_pattern(part, tokens), MIXED, names, tuple(checks))
    only = tokens[0]
    kind = REST if only["rest"] else PARAMETER
    default = only["default"][1:] if only["default"] else None
    optional = bool(only["optional"]) or bool(only["rest"])
    return _Segment(part, re.compile("(.+)", re.DOTALL), kind, names, tuple(checks), default, optional)


def _mixed_pattern(part: str, tokens: list[re.Match[str]]) -> re.Pattern[str]:
    pattern, end = "", 0
    for token in tokens:
        pattern += re.escape(part[end : token.start()]) + "(.+)"
        end = token.end()
    return re.compile(pattern + re.escape(part[end:]), _LETTER_CASE | re.DOTALL)
