"""NCRONTAB: six fields with the seconds first (five are read as "at second 0").

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions. Day of month and day of
week must both match, unlike in Unix cron.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from croniter import croniter  # type: ignore[import-untyped]  # it has no annotations

_TIME_SPAN = re.compile(r"(?:\d+\.)?\d{1,2}:\d{2}:\d{2}")
_FIELD = re.compile(r"[0-9a-zA-Z*,/-]+")
_NAMES = frozenset(name.lower() for name in (*calendar.month_abbr, *calendar.day_abbr) if name)
_FIELDS_WITHOUT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a timer is due."""

    expression: str

    def after(self, moment: datetime) -> datetime:
        """The first time later than `moment`, in its time zone."""
        steps = croniter(self.expression, moment, second_at_beginning=True, day_or=False)
        due: datetime = steps.get_next(datetime)
        return due


def parse_schedule(text: str) -> Schedule:
    """Read an NCRONTAB expression. Raises `ValueError` with what is wrong."""
    if _TIME_SPAN.fullmatch(text):
        raise ValueError(f"schedule {text!r} is a time span, which only App Service plans allow; write six cron fields")
    fields = text.split()
    if len(fields) == _FIELDS_WITHOUT_SECONDS:
        fields = ["0", *fields]
    expression = " ".join(fields)
    schedule = Schedule(expression)
    if len(fields) != _FIELDS_WITHOUT_SECONDS + 1 or not all(map(_is_field, fields)) or "7" in fields[-1]:
        raise ValueError(f"schedule {text!r} is not NCRONTAB; write six fields, seconds first, Sunday is 0")
    try:
        schedule.after(datetime.now(UTC))
    except ValueError as error:
        raise ValueError(f"schedule {text!r} is not NCRONTAB: {error}") from error
    return schedule


def _is_field(field: str) -> bool:
    """Whether it has no more than NCRONTAB knows: croniter would also take `L`, `#`, `?` and random `H`."""
    return _FIELD.fullmatch(field) is not None and set(re.findall(r"[a-z]+", field.lower())) <= _NAMES
