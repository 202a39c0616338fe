"""A reader of the Kusto queries in `infra/kql/alert-*.kql`: as much of the language as they use, and no more.

It carries a query out, to its last word, on rows that a test gives. What it does not know is an error, never skipped.
Expressions become Python's by exchanging words, since the two differ in little. Nothing (null) is NaN: it compares with
nothing, as in Kusto. https://learn.microsoft.com/kusto/query
"""

from __future__ import annotations

import json
import math
import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Rows = list[Row]
Formula = Callable[[Row], Any]


class _Nothing(float):
    """Null. A member of it is nothing too."""

    def __getattr__(self, _: str) -> _Nothing:
        return self


NOTHING = _Nothing("nan")
_SPANS = {"d": "days", "h": "hours", "m": "minutes"}
_PIECE = re.compile(
    r"""(?P<text>'[^']*'|"[^"]*")|(?P<number>\d+)(?P<unit>[dhm])\b|!(?P<not>in|endswith)\b|"""
    r"""\b(?P<infix>has|startswith|between)\b|(?P<dots>\.\.)"""
)
_AGGREGATE = re.compile(
    r"(?:(?P<names>\w+|\([\w, ]+\)) = )?"
    r"(?P<kind>count|max|percentile|make_set|take_any|arg_max|arg_min)\((?P<arguments>.*)\)"
)


class Infix:
    """A word between two values: `a has b` is read as `a |has| b`."""

    def __init__(self, does: Callable[..., bool], *left: Any) -> None:
        self._does = does
        self._left = left

    def __ror__(self, left: Any) -> Infix:
        return Infix(self._does, left)

    def __or__(self, right: Any) -> bool:
        return self._does(*self._left, right)


class Document(dict[str, Any]):
    """What `parse_json` gives: a member that is not there is nothing."""

    def __getattr__(self, name: str) -> Any:
        found = self.get(name)
        return NOTHING if found is None else found


def is_nothing(value: Any) -> bool:
    """Whether a value is null."""
    return isinstance(value, float) and math.isnan(value)


def _has(text: str, term: str) -> bool:
    start, end = (r"\b" if edge.isalnum() else "" for edge in (term[0], term[-1]))
    return re.search(f"{start}{re.escape(term)}{end}", text, re.IGNORECASE) is not None


_WORDS: Mapping[str, Any] = {
    "null": NOTHING,
    "span": lambda number, unit: timedelta(**{_SPANS[unit]: number}),
    "has": Infix(_has),
    "startswith": Infix(lambda text, start: text.lower().startswith(start.lower())),
    "not_endswith": Infix(lambda text, end: not text.lower().endswith(end.lower())),
    "between": Infix(lambda value, ends: ends[0] <= value <= ends[1]),
    "datetime_utc_to_local": lambda moment, zone: moment.astimezone(ZoneInfo(zone)),
    "dayofweek": lambda moment: timedelta(days=moment.isoweekday() % 7),
    "dynamic": list,
    "hourofday": lambda moment: moment.hour,
    "iff": lambda condition, yes, no: yes if condition else no,
    "isempty": lambda text: text == "",
    "isnotnull": lambda value: not is_nothing(value),
    "parse_json": lambda text: Document(json.loads(text)),
    "real": float,
    "strcat": lambda *texts: "".join(texts),
    "todatetime": datetime.fromisoformat,
    "todouble": float,
    "toint": int,
    "tostring": lambda value: "" if is_nothing(value) else str(value),
}


def carry_out(query: str, tables: Mapping[str, Rows], *, now: datetime) -> Rows:
    """The rows that `query` finds in `tables` at the time `now`."""
    without_comments = re.sub(r"""('[^']*'|"[^"]*")|//[^\n]*""", lambda found: found[1] or "", query)
    reader = _Reader(tables, now)
    *lets, last = _split(without_comments, ";")
    for statement in lets:
        reader.name(statement)
    return reader.piped(last)


class _Reader:
    def __init__(self, tables: Mapping[str, Rows], now: datetime) -> None:
        self._tables = dict(tables)
        self._words = {**_WORDS, "now": lambda: now, "ago": lambda span: now - span}

    def name(self, statement: str) -> None:
        """Note what a `let` says."""
        found = re.fullmatch(r"let (\w+) = (.+)", statement, re.DOTALL)
        assert found, statement
        first = re.match(r"\w+", found[2])
        if first and first[0] in {*self._tables, "union"}:
            self._tables[found[1]] = rows = self.piped(found[2])
            self._words[found[1]] = [value for row in rows for value in row.values()]  # for `in`
        else:
            self._words[found[1]] = self._formula(found[2])({})

    def piped(self, text: str) -> Rows:
        """What comes out at the end of a pipe."""
        source, *steps = _split(text, "|")
        word, _, rest = source.partition(" ")
        rows = self._union(rest.removeprefix("isfuzzy=true ")) if word == "union" else self._tables[source]
        for step in steps:
            word, _, rest = step.partition(" ")
            rows = self._step(word, rest, rows)
        return rows

    def _step(self, word: str, rest: str, rows: Rows) -> Rows:
        match word:
            case "where":
                holds = self._formula(rest)
                return [row for row in rows if holds(row)]
            case "extend":
                columns = self._columns(rest)
                return [row | {name: formula(row) for name, formula in columns.items()} for row in rows]
            case "project":
                columns = self._columns(rest)
                return [{name: formula(row) for name, formula in columns.items()} for row in rows]
            case "summarize":
                return self._summarized(rest, rows)
            case "union":
                return _together([rows, self._union(rest)])
        raise AssertionError(word)

    def _union(self, names: str) -> Rows:
        return _together([self._tables[name] for name in _split(names, ",")])

    def _summarized(self, text: str, rows: Rows) -> Rows:
        aggregates, _, by = text.partition(" by ")
        keys = self._columns(by) if by else {}
        groups: dict[tuple[Any, ...], Rows] = {} if by else {(): rows}
        for row in rows if by else ():
            groups.setdefault(tuple(formula(row) for formula in keys.values()), []).append(row)
        return [
            dict(zip(keys, values, strict=True))
            | {name: value for one in _split(aggregates, ",") for name, value in self._aggregated(one, group)}
            for values, group in groups.items()
        ]

    def _aggregated(self, text: str, rows: Rows) -> Iterator[tuple[str, Any]]:
        found = _AGGREGATE.fullmatch(text)
        assert found, text
        arguments = _split(found["arguments"], ",")
        names = [name.strip() for name in found["names"].strip("()").split(",")] if found["names"] else arguments
        formulas = [self._formula(argument) for argument in arguments]
        known = [value for row in rows if formulas and not is_nothing(value := formulas[0](row))]
        match found["kind"]:
            case "count":
                values: list[Any] = [len(rows)]
            case "percentile":
                values = [sorted(known)[math.ceil(formulas[1]({}) / 100 * len(known)) - 1] if known else NOTHING]
            case "make_set":
                values = [sorted(set(known))]
            case "max":
                values = [max(known, default=NOTHING)]
            case "take_any":
                values = known[:1] or [NOTHING]
            case kind:
                best = (max if kind == "arg_max" else min)(rows, key=formulas[0], default=None)
                values = [NOTHING if best is None else formula(best) for formula in formulas]
        yield from zip(names, values, strict=True)

    def _columns(self, text: str) -> dict[str, Formula]:
        pairs = [one.partition(" = ") for one in _split(text, ",")]
        return {name: self._formula(formula or name) for name, _, formula in pairs}

    def _formula(self, text: str) -> Formula:
        code = compile(f"({_PIECE.sub(_python, text)})", text, "eval")
        words = {**self._words, "__builtins__": {}}
        return lambda row: eval(code, words, ChainMap(row))  # noqa: S307 - our own queries, without builtins


def _python(piece: re.Match[str]) -> str:
    if piece["text"]:
        return piece["text"]
    if piece["unit"]:
        return f"span({piece['number']}, '{piece['unit']}')"
    if piece["not"]:
        return "not in" if piece["not"] == "in" else "|not_endswith|"
    return f"|{piece['infix']}|" if piece["infix"] else ","


def _together(tables: Sequence[Rows]) -> Rows:
    names = dict.fromkeys(name for rows in tables for row in rows for name in row)
    return [{name: row.get(name, NOTHING) for name in names} for rows in tables for row in rows]


def _split(text: str, sign: str) -> list[str]:
    """`text` at each `sign` outside texts and brackets, with single spaces."""
    parts, depth = [""], 0
    for piece in re.findall(r"""'[^']*'|"[^"]*"|\s+|.""", text):
        depth += (piece in "([") - (piece in ")]")
        if piece == sign and not depth:
            parts.append("")
        else:
            parts[-1] += " " if piece.isspace() else piece
    return [part.strip() for part in parts if part.strip()]
