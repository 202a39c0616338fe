"""`$filter`: a strict reader of the part of OData's grammar that Dataverse takes, compiled to a predicate.

Anything outside the grammar is refused, so that text smuggled into a filter shows up as a 400 and not as a result.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sandbox.dataverse.errors import query_error
from sandbox.dataverse.schema import EDM_TYPES, Column, Table
from sandbox.dataverse.store import Row
from sandbox.dataverse.values import JsonValue, parse_guid, parse_instant

Predicate = Callable[[Row], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?:
    (?P<string>'(?:[^']|'')*')
  | (?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-]))
  | (?P<instant>\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)(?![\w:.+-]))
  | (?P<number>-?\d+(?:\.\d+)?(?![\w.-]))
  | (?P<word>[A-Za-z_]\w*)
  | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)
_COMPARISONS: Final = ("eq", "ne", "gt", "ge", "lt", "le")
_FUNCTIONS: Final = ("contains", "startswith", "endswith")
_DEEPEST: Final = 50


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class _Literal:
    edm_type: str
    value: JsonValue


def compile_filter(text: str, *, table: Table) -> Predicate:
    """Return the predicate that `$filter=text` means for rows of this table."""
    parser = _Parser(_tokens(text), table)
    predicate = parser.either(0)
    parser.finish()
    return predicate


def _tokens(text: str) -> list[_Token]:
    tokens = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise query_error(f"Syntax error in '$filter' at position {position}.")
        tokens.append(_Token(found.lastgroup, found[found.lastgroup]))
        position = found.end()
    return tokens


class _Parser:
    """Recursive descent over: either := both (or both)*; both := unary (and unary)*; unary := not? term."""

    def __init__(self, tokens: list[_Token], table: Table) -> None:
        self._tokens = tokens
        self._table = table
        self._next = 0

    def finish(self) -> None:
        if self._next < len(self._tokens):
            raise query_error(f"Syntax error in '$filter': unexpected '{self._tokens[self._next].text}'.")

    def either(self, depth: int) -> Predicate:
        if depth > _DEEPEST:
            raise query_error("'$filter' is nested too deeply.")
        terms = [self._both(depth)]
        while self._word("or"):
            terms.append(self._both(depth))
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def _both(self, depth: int) -> Predicate:
        terms = [self._unary(depth)]
        while self._word("and"):
            terms.append(self._unary(depth))
        return terms[0] if len(terms) == 1 else lambda row: all(term(row) for term in terms)

    def _unary(self, depth: int) -> Predicate:
        if self._word("not"):
            term = self._term(depth)
            return lambda row: not term(row)
        return self._term(depth)

    def _term(self, depth: int) -> Predicate:
        if self._mark("("):
            inner = self.either(depth + 1)
            self._expect(")")
            return inner
        token = self._take()
        if token.kind != "word":
            raise query_error(f"Syntax error in '$filter': a column was expected, not '{token.text}'.")
        if token.text in _FUNCTIONS:
            return self._function(token.text)
        column = self._column(token.text)
        operator = self._take().text
        if operator not in _COMPARISONS:
            raise query_error(f"'{operator}' is not an operator that '$filter' takes here.")
        return _comparison(column, operator, self._literal(column))

    def _function(self, name: str) -> Predicate:
        self._expect("(")
        column = self._column(self._take().text)
        self._expect(",")
        literal = self._literal(column)
        self._expect(")")
        if EDM_TYPES[column.type] != "Edm.String" or not isinstance(literal.value, str):
            raise query_error(f"The function '{name}' needs a text column and a text.")
        prop, needle = str(column.prop), literal.value.casefold()
        tests: dict[str, Callable[[str], bool]] = {
            "contains": lambda text: needle in text,
            "startswith": lambda text: text.startswith(needle),
            "endswith": lambda text: text.endswith(needle),
        }
        test = tests[name]
        return lambda row: test(str(row.values[prop] or "").casefold())

    def _column(self, name: str) -> Column:
        column = self._table.props.get(name)
        if column is None:
            raise query_error(
                f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{self._table.logical_name}'."
            )
        return column

    def _literal(self, column: Column) -> _Literal:
        token = self._take()
        literal = _read_literal(token)
        expected = EDM_TYPES[column.type]
        numeric = expected in ("Edm.Int32", "Edm.Int64", "Edm.Decimal", "Edm.Double")
        fits = literal.edm_type in ("null", expected) or (numeric and literal.edm_type == "number")
        if not fits:
            raise query_error(
                f"A binary operator with incompatible types was found for '{column.prop}': {expected} and "
                f"{literal.edm_type} ({token.text[:60]})."
            )
        return literal

    def _take(self) -> _Token:
        if self._next >= len(self._tokens):
            raise query_error("Syntax error in '$filter': it ends too early.")
        self._next += 1
        return self._tokens[self._next - 1]

    def _accept(self, token: _Token) -> bool:
        found = self._next < len(self._tokens) and self._tokens[self._next] == token
        self._next += found
        return found

    def _word(self, text: str) -> bool:
        return self._accept(_Token("word", text))

    def _mark(self, text: str) -> bool:
        return self._accept(_Token("mark", text))

    def _expect(self, mark: str) -> None:
        if not self._mark(mark):
            raise query_error(f"Syntax error in '$filter': '{mark}' was expected.")


def _read_literal(token: _Token) -> _Literal:
    match token.kind:
        case "string":
            return _Literal("Edm.String", token.text[1:-1].replace("''", "'"))
        case "guid":
            return _Literal("Edm.Guid", parse_guid(token.text))
        case "number":
            return _Literal("number", float(token.text) if "." in token.text else int(token.text))
        case "instant" if (instant := parse_instant(token.text)) is not None:
            return _Literal("Edm.DateTimeOffset", instant)
        case "word" if token.text in ("true", "false"):
            return _Literal("Edm.Boolean", token.text == "true")
        case "word" if token.text == "null":
            return _Literal("null", None)
    raise query_error(f"Syntax error in '$filter': '{token.text}' is not a literal; put text into single quotes.")


def _comparison(column: Column, operator: str, literal: _Literal) -> Predicate:
    prop = str(column.prop)
    if operator in ("eq", "ne"):
        wanted = literal.value.casefold() if isinstance(literal.value, str) else literal.value
        equal = operator == "eq"
        return lambda row: (_folded(row.values[prop]) == wanted) == equal
    if literal.value is None:
        raise query_error(f"The operator '{operator}' does not take null.")
    return _ordering(prop, operator, literal.value)


def _ordering(prop: str, operator: str, bound: JsonValue) -> Predicate:
    limit = sort_key(bound)
    tests: dict[str, Callable[[tuple[float, str]], bool]] = {
        "gt": lambda key: key > limit,
        "ge": lambda key: key >= limit,
        "lt": lambda key: key < limit,
        "le": lambda key: key <= limit,
    }
    test = tests[operator]
    return lambda row: row.values[prop] is not None and test(sort_key(row.values[prop]))


def sort_key(value: JsonValue) -> tuple[float, str]:
    """Return a key that orders nulls first, numbers by size and text without regard to case."""
    if value is None:
        return (float("-inf"), "")
    return (0.0, value.casefold()) if isinstance(value, str) else (float(value), "")


def _folded(value: JsonValue) -> JsonValue:
    return value.casefold() if isinstance(value, str) else value
