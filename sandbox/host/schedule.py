"""NCRONTAB: six fields with the seconds first (five are read as "at second 0").

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions. Day of month and day of
week must both match, unlike in Unix cron.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from croniter import croniter  # type: ignore[import-untyped]  # it has no annotations

_TIME_SPAN = re.compile(r"(?:\d+\.)?\d{1,2}:\d{2}:\d{2}")
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
    if len(fields) != _FIELDS_WITHOUT_SECONDS + 1 or not croniter.is_valid(expression, second_at_beginning=True):
        raise ValueError(f"schedule {text!r} is not NCRONTAB; write six fields, seconds first")
    return Schedule(expression)
