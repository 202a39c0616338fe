"""The days that the sender of an all-day meeting means.

A day or a time with an offset of its own says it. Mostly there is an instant in UTC instead: midnight where the sender
is, and nobody says where that is. Zones lie between 12 hours behind UTC and 14 ahead, so nearly every instant is
midnight on one date only (https://data.iana.org/time-zones/tz-link.html).
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo

from shared.timestamps import is_day, parse_time

_DAY = timedelta(days=1)
_MIDNIGHT = time()
# Every offset is a multiple of this; an end in the minute before a midnight means that midnight.
_STEP = timedelta(minutes=15)
# A whole number of days, give or take: clocks change by two hours at most, and an end may lie a minute early.
_CLOCKS_CHANGE = timedelta(hours=2, minutes=1)
# Until then it is midnight behind UTC only: the farthest offset that is no whole hour is 9:30.
_FIRST_AHEAD = time(10)
# Midnight in two zones a day apart: +14 and -10, +13 and -11, +12 and -12.
_TWO_DATES = (time(10), time(11), time(12))
# Where the date is left open, what is evening in the zone of the settings is the next day.
_EVENING = timedelta(hours=6)


def first_day(start: str, end: str | None, zone: tzinfo) -> date:
    """The first day. `zone`: decides where the instant leaves the day open. Raises `OverflowError`."""
    if end is None or is_day(start) != is_day(end) or _whole_days(start, end) is not None:
        return _day_of(start, zone)
    return _on_the_clock(start, zone).date()


def day_after(start: str | None, end: str, zone: tzinfo) -> date:
    """The day after the last one, at least one after the first. Raises `OverflowError`."""
    if start is None:
        return _next_midnight(end, zone)
    first = first_day(start, end, zone)
    if is_day(start) != is_day(end):
        length = (_day_of(end, zone) - first).days
    else:
        whole = _whole_days(start, end)
        length = (_next_midnight(end, zone) - first).days if whole is None else whole
    return first + max(length, 1) * _DAY


def _whole_days(start: str, end: str) -> int | None:
    """How many days lie between two of a kind, 0 for an end before its start; None: no whole number."""
    length = parse_time(end) - parse_time(start)
    if length <= timedelta():
        return 0
    days = round(length / _DAY)
    return days if days and abs(length - days * _DAY) <= _CLOCKS_CHANGE else None


def _day_of(bound: str, zone: tzinfo) -> date:
    """The day that begins with `bound`, which is a day or the sender's midnight."""
    moment = parse_time(bound)
    moment += -timedelta(minutes=moment.minute % 15, seconds=moment.second, microseconds=moment.microsecond) % _STEP
    if is_day(bound) or moment.utcoffset() or moment.time() < _FIRST_AHEAD:
        return moment.date()
    if moment.time() in _TWO_DATES:
        return (moment.astimezone(zone) + _EVENING).date()
    return moment.date() + _DAY


def _next_midnight(end: str, zone: tzinfo) -> date:
    moment = _on_the_clock(end, zone)
    return moment.date() + (_DAY if moment.time() != _MIDNIGHT else timedelta())


def _on_the_clock(bound: str, zone: tzinfo) -> datetime:
    """A bound that is no midnight: on the sender's clock where it is told with that, or lies at midnight in UTC."""
    moment = parse_time(bound)
    at_midnight = moment.time() == _MIDNIGHT or moment.time() >= time(23, 59)
    return moment if moment.utcoffset() or at_midnight else moment.astimezone(zone)
