"""One value against its column: JSON type, length, options; returned as Dataverse would store it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from sandbox.dataverse.errors import (
    DATE_OUT_OF_RANGE,
    INVALID_ARGUMENT,
    INVALID_CHARACTERS,
    INVALID_OPTION,
    OUT_OF_RANGE,
    STRING_TOO_LONG,
    ODataError,
    payload_error,
)
from sandbox.dataverse.schema import EDM_TYPES, Column

JsonValue = str | int | float | bool | None

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_NUMBERS: Final = re.compile(r"(-?\d{1,10}(,-?\d{1,10})*)?")
# XML 1.0 has no place for these, and the platform keeps rows as XML in several places
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_INT32: Final = range(-(2**31), 2**31)
EARLIEST_YEAR: Final = 1753  # the first year of SQL Server's datetime


def parse_guid(text: str) -> str | None:
    """Return the GUID in lower case, or `None` where the text is none (braces included)."""
    return text.lower() if _GUID.fullmatch(text) else None


def parse_instant(text: str) -> str | None:
    """Return an Edm.DateTimeOffset as UTC with whole seconds, or `None` where the text is none."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def check_value(column: Column, value: object) -> JsonValue:
    """Return the value as stored; refuse what the column cannot hold.

    The empty string becomes null, instants lose their fractions and their offset, GUIDs become lower case, numbers the
    digits that their column does not hold.
    """
    if value is None:
        if column.required == "SystemRequired" and column.create:
            raise ODataError(f"Column '{column.name}' is system required and cannot be null.", code=INVALID_ARGUMENT)
        return None
    return _CHECKS[column.type](column, value)


def _mismatch(column: Column, value: object) -> ODataError:
    shown = repr(value) if isinstance(value, str | int | float | bool) else type(value).__name__
    return payload_error(
        f"Cannot convert the literal {shown[:100]} of '{column.name}' to the expected type '{EDM_TYPES[column.type]}'."
    )


def _string(column: Column, value: object) -> JsonValue:
    if not isinstance(value, str):
        raise _mismatch(column, value)
    if column.max_length is not None and utf16_length(value) > column.max_length:
        raise ODataError(
            f"The length of '{column.name}' exceeded the maximum allowed length of {column.max_length}.",
            code=STRING_TOO_LONG,
        )
    if _FORBIDDEN.search(value):
        raise ODataError(f"Column '{column.name}' holds a control character; remove it.", code=INVALID_CHARACTERS)
    return value or None


def utf16_length(text: str) -> int:
    """Return the length as .NET counts it: a character outside the basic plane counts twice."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _int32(column: Column, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INT32:
        raise _mismatch(column, value)
    return value


def _integer(column: Column, value: object) -> JsonValue:
    return _within(column, _int32(column, value))


def _within(column: Column, value: float) -> float:
    least, most = column.least, column.most
    if (least is not None and value < least) or (most is not None and value > most):
        raise ODataError(
            f"A validation error occurred. The value of '{column.name}' is outside the valid range. "
            f"Accepted values: {least} to {most}.",
            code=OUT_OF_RANGE,
        )
    return value


def _options(column: Column, value: object) -> JsonValue:
    if not isinstance(value, str) or not _NUMBERS.fullmatch(value):
        raise _mismatch(column, value)
    return ",".join(str(_option(column, int(number))) for number in dict.fromkeys(value.split(","))) or None


def _option(column: Column, value: object) -> JsonValue:
    number = _int32(column, value)
    if number not in column.options:
        raise ODataError(
            f"The value {number} of '{column.name}' is outside the valid options {list(column.options)}.",
            code=INVALID_OPTION,
        )
    return number


def _number(column: Column, value: object) -> JsonValue:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(column, value)
    within = _within(column, value)
    return within if column.precision is None else round(within, column.precision)


def _boolean(column: Column, value: object) -> JsonValue:
    if not isinstance(value, bool):
        raise _mismatch(column, value)
    return value


def _instant(column: Column, value: object) -> JsonValue:
    instant = parse_instant(value) if isinstance(value, str) else None
    if instant is None:
        raise _mismatch(column, value)
    return _late_enough(instant, value)


def _day(column: Column, value: object) -> JsonValue:
    if not isinstance(value, str) or not _DAY.fullmatch(value) or parse_instant(f"{value}T00:00:00Z") is None:
        raise _mismatch(column, value)
    return _late_enough(value, value)


def _late_enough(moment: str, value: object) -> str:
    if int(moment[:4]) < EARLIEST_YEAR:
        # the real one does not say which column either
        raise ODataError(
            f"DateTime is less than minimum value supported by CrmDateTime. Actual value: {value}, "
            "Minimum value supported: 01/01/1753 00:00:00",
            code=DATE_OUT_OF_RANGE,
        )
    return moment


def _guid(column: Column, value: object) -> JsonValue:
    guid = parse_guid(value) if isinstance(value, str) else None
    if guid is None:
        raise _mismatch(column, value)
    return guid


_CHECKS: Final[dict[str, Callable[[Column, object], JsonValue]]] = {
    "String": _string,
    "Memo": _string,
    "EntityName": _string,
    "Integer": _integer,
    "Picklist": _option,
    "State": _option,
    "Status": _option,
    "BigInt": _number,
    "Decimal": _number,
    "Double": _number,
    "Money": _number,
    "Boolean": _boolean,
    "DateTime": _instant,
    "DateOnly": _day,
    "MultiSelectPicklist": _options,
    "Uniqueidentifier": _guid,
    "Lookup": _guid,
    "Owner": _guid,
}
