"""All-day meetings: the days that the sender meant, from midnight to midnight in the configured zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.all_day import day_after, first_day
from shared.meeting.appointment import Policy, desired
from tests.samples import DEFAULT, law

EVERY_ZONE = sorted(available_timezones() - {"localtime"})
# Where it is midnight in UTC at these times, it is a new day in two zones, on two dates.
TWO_DATES = {time(10), time(11), time(12)}

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")

# The midnights (UTC) between which the fifth to the sixth of January lies.
MIDNIGHTS = {
    "UTC": ("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z", "2026-01-07T00:00:00Z"),
    "Europe/Berlin": ("2026-01-04T23:00:00Z", "2026-01-05T23:00:00Z", "2026-01-06T23:00:00Z"),
    "America/New_York": ("2026-01-05T05:00:00Z", "2026-01-06T05:00:00Z", "2026-01-07T05:00:00Z"),
    "Asia/Kolkata": ("2026-01-04T18:30:00Z", "2026-01-05T18:30:00Z", "2026-01-06T18:30:00Z"),
}


def bounds(start: str, end: str | None, zone: str, *, all_day: bool | None = True) -> tuple[str | None, str | None]:
    """The appointment's start and end."""
    values = {"is_all_day": all_day, "starts_at": start, "ends_at": end}
    found = desired(values, mapping=DEFAULT, people={}, policy=Policy(zone=ZoneInfo(zone))).columns
    return found.get("scheduledstart"), found.get("scheduledend")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-01-05", "2026-01-06", 1),
        ("2026-01-05", "2026-01-07", 2),
        ("2026-01-05", "2026-01-05", 1),
        ("2026-01-05T00:00:00+00:00", "2026-01-06T00:00:00+00:00", 1),
        ("2026-01-05T00:00:00+00:00", "2026-01-07T00:00:00+00:00", 2),
        ("2026-01-05T00:00:00+00:00", "2026-01-05T00:00:00+00:00", 1),
        ("2026-01-05T00:00:00+05:30", "2026-01-06T00:00:00+05:30", 1),
        ("2026-01-05T00:00:00-08:00", "2026-01-07T00:00:00-08:00", 2),
        ("2026-01-05", "2026-01-07T00:00:00+00:00", 2),
    ],
)
def test_days_and_midnights(start: str, end: str, days: int, zone: str) -> None:
    """A day, or a midnight of any offset, names its day; an end on the first day itself means one day."""
    midnights = MIDNIGHTS[zone]
    assert bounds(start, end, zone) == (midnights[0], midnights[days])


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("days", [1, 2])
def test_midnights_of_the_zone_in_utc(zone: str, days: int) -> None:
    """The zone's own midnights, written in UTC as a server does, are the days that they are there."""
    midnights = MIDNIGHTS[zone]
    assert bounds(midnights[0], midnights[days], zone) == (midnights[0], midnights[days])


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("UTC", "+00:00"), ("Europe/Berlin", "+01:00"), ("America/New_York", "-05:00"), ("Asia/Kolkata", "+05:30")],
)
@pytest.mark.parametrize(("last", "days"), [("2026-01-05", 1), ("2026-01-06", 2)])
@pytest.mark.parametrize("end", ["23:59:59", "23:59:59.999000", "23:59:00"])
def test_end_just_before_midnight(zone: str, offset: str, last: str, days: int, end: str) -> None:
    """An end at 23:59:59 of the zone's last day means that whole day."""
    midnights = MIDNIGHTS[zone]
    assert bounds(f"2026-01-05T00:00:00{offset}", f"{last}T{end}{offset}", zone) == (midnights[0], midnights[days])


@pytest.mark.parametrize("zone", ZONES)
def test_utc_day_that_ends_just_before_midnight(zone: str) -> None:
    """A day that is told in UTC from 00:00:00 to 23:59:59 is one day in every zone."""
    midnights = MIDNIGHTS[zone]
    assert bounds("2026-01-05T00:00:00+00:00", "2026-01-05T23:59:59+00:00", zone) == (midnights[0], midnights[1])


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-01-05T08:00:00+00:00", "2026-01-06T08:00:00+00:00", 1),  # Los Angeles
        ("2026-01-05T08:00:00+00:00", "2026-01-07T08:00:00+00:00", 2),
        ("2026-03-08T08:00:00+00:00", "2026-03-09T07:00:00+00:00", 1),  # a day of 23 hours there
        ("2026-11-01T07:00:00+00:00", "2026-11-02T08:00:00+00:00", 1),  # one of 25
        ("2026-01-05T08:00:00+00:00", "2026-01-06T07:59:59+00:00", 1),
        ("2026-01-05T09:00:00+00:00", "2026-01-05T17:00:00+00:00", 1),
    ],
)
def test_midnights_of_another_zone(start: str, end: str, days: int) -> None:
    """Whoever is in another zone than the configured one has meetings of as many days as they have."""
    found = [
        datetime.fromisoformat(text or "").astimezone(ZoneInfo("America/New_York"))
        for text in bounds(start, end, "America/New_York")
    ]
    assert [moment.time() for moment in found] == [time(), time()]
    assert (found[1].date() - found[0].date()).days == days


@pytest.mark.parametrize(
    ("zone", "day", "start", "end"),
    [
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        ("Asia/Kolkata", "2026-03-29", "2026-03-28T18:30:00Z", "2026-03-29T18:30:00Z"),
    ],
)
def test_days_on_which_the_clocks_change(zone: str, day: str, start: str, end: str) -> None:
    """A day of 23 or of 25 hours goes from its own midnight to the next one."""
    after = str(date.fromisoformat(day) + timedelta(days=1))
    for given_end in (day, after, f"{after}T00:00:00+00:00", end.replace("Z", "+00:00")):
        assert bounds(day, given_end, zone) == (start, end)
    assert bounds(start.replace("Z", "+00:00"), end.replace("Z", "+00:00"), zone) == (start, end)


@law
@given(
    st.dates(date(1990, 1, 1), date(2060, 1, 1)),
    st.integers(0, 5),
    st.sampled_from([*ZONES, "Africa/Cairo", "America/Sao_Paulo", "Australia/Lord_Howe"]),
)
def test_every_day_of_the_calendar(first: date, length: int, zone: str) -> None:
    """Any days, given as days or as UTC midnights, begin and end with a day of the zone and have the right number."""
    last = first + timedelta(days=length)
    as_days = bounds(str(first), str(last), zone)
    assert as_days == bounds(f"{first}T00:00:00+00:00", f"{last}T00:00:00+00:00", zone)
    start, end = (datetime.fromisoformat(text or "").astimezone(ZoneInfo(zone)) for text in as_days)
    assert start.date() == first
    assert end.date() == first + timedelta(days=max(length, 1))
    # Where clocks are put forward at midnight itself, the day begins at one o'clock.
    assert start.hour in {0, 1}
    assert (start.minute, start.second) == (0, 0)


def in_utc(day: date, zone: str) -> datetime:
    """The zone's midnight at which `day` begins, as a server writes it."""
    return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


def days_meant(first: date, days: int, *, sender: str, setting: str, early: timedelta = timedelta()) -> bool:
    """Whether `days` days from `first` in the sender's zone are read as these days. `early`: how far the end is."""
    start, end = in_utc(first, sender), in_utc(first + timedelta(days=days), sender) - early
    zone = ZoneInfo(setting)
    given = start.isoformat(), end.isoformat()
    return (first_day(*given, zone), day_after(*given, zone)) == (first, first + timedelta(days=days))


@pytest.mark.parametrize("setting", ["UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo", "Pacific/Auckland"])
@pytest.mark.parametrize(
    ("start", "end", "first", "days"),
    [
        ("2026-12-01T23:00:00+00:00", "2026-12-02T23:00:00+00:00", "2026-12-02", 1),  # Berlin
        ("2026-12-01T15:00:00+00:00", "2026-12-02T15:00:00+00:00", "2026-12-02", 1),  # Tokyo
        ("2026-12-01T18:30:00+00:00", "2026-12-04T18:30:00+00:00", "2026-12-02", 3),  # Kolkata
        ("2026-12-01T13:00:00+00:00", "2026-12-02T13:00:00+00:00", "2026-12-02", 1),  # Sydney
        ("2026-12-01T10:15:00+00:00", "2026-12-02T10:15:00+00:00", "2026-12-02", 1),  # Chatham: nobody is at -10:15
        ("2026-12-02T09:30:00+00:00", "2026-12-03T09:30:00+00:00", "2026-12-02", 1),  # the Marquesas
        ("2026-12-01T23:00:00+00:00", "2026-12-02T22:59:59+00:00", "2026-12-02", 1),
        ("2026-12-01T23:00:00+00:00", "2026-12-01T23:00:00+00:00", "2026-12-02", 1),
        ("2026-10-24T22:00:00+00:00", "2026-10-25T22:59:59.999000+00:00", "2026-10-25", 1),  # 25 hours in Berlin
        ("2026-03-27T23:00:00+00:00", "2026-03-30T22:00:00+00:00", "2026-03-28", 3),  # the hour that is missing there
        ("2026-12-01T23:00:00+00:00", "2026-12-03", "2026-12-02", 1),
        ("2026-12-02", "2026-12-02T23:00:00+00:00", "2026-12-02", 1),
        ("2026-12-02T20:00:00-08:00", "2026-12-02T23:30:00-08:00", "2026-12-02", 1),  # on the sender's own clock
        ("2026-12-02T00:00:00+09:00", "2026-12-05T00:00:00+09:00", "2026-12-02", 3),
    ],
)
def test_the_day_that_the_sender_meant(start: str, end: str, first: str, days: int, setting: str) -> None:
    """Where one date only fits, it does not matter which zone is set."""
    begins = date.fromisoformat(first)
    zone = ZoneInfo(setting)
    assert first_day(start, end, zone) == begins
    assert day_after(start, end, zone) == begins + timedelta(days=days)


@pytest.mark.parametrize(
    ("hour", "setting", "first"),
    [
        (10, "Pacific/Kiritimati", "2026-12-02"),
        (10, "Pacific/Honolulu", "2026-12-01"),
        (11, "Pacific/Auckland", "2026-12-02"),
        (11, "Pacific/Pago_Pago", "2026-12-01"),
        (11, "Australia/Sydney", "2026-12-02"),  # Auckland is next to it, Pago Pago is not
        (11, "UTC", "2026-12-01"),
        (11, "Europe/Berlin", "2026-12-01"),
        (11, "America/New_York", "2026-12-01"),
        (12, "Pacific/Fiji", "2026-12-02"),
        (12, "America/Los_Angeles", "2026-12-01"),
    ],
)
def test_where_two_dates_fit_the_setting_decides(hour: int, setting: str, first: str) -> None:
    """From 10 to 12 in UTC it is midnight on either side of the date line."""
    start, end = f"2026-12-01T{hour}:00:00+00:00", f"2026-12-03T{hour}:00:00+00:00"
    begins = date.fromisoformat(first)
    assert first_day(start, end, ZoneInfo(setting)) == begins
    assert day_after(start, end, ZoneInfo(setting)) == begins + timedelta(days=2)


@pytest.mark.parametrize("early", [timedelta(), timedelta(seconds=1), timedelta(minutes=1)])
def test_the_days_of_every_zone(early: timedelta) -> None:
    """Each day on which some zone's clocks change in 2026, and the days about it: as meant, for any sender."""
    wrong = []
    for sender in EVERY_ZONE:
        midnights = [in_utc(date(2026, 1, 1) + timedelta(days=day), sender) for day in range(367)]
        lengths = [after - before for before, after in pairwise(midnights)]
        changes = [day for day, length in enumerate(lengths) if length != timedelta(days=1)]
        for day in {0, *(day + near for day in changes for near in (-2, 0, 1) if day + near >= 0)}:
            first = date(2026, 1, 1) + timedelta(days=day)
            settings = ["UTC", "America/New_York", sender] if midnights[day].time() not in TWO_DATES else [sender]
            wrong += [
                (sender, setting, str(first), days)
                for setting in settings
                for days in (1, 3)
                if not days_meant(first, days, sender=sender, setting=setting, early=early)
            ]
    assert not wrong


@law
@given(
    st.sampled_from(EVERY_ZONE),
    st.sampled_from(EVERY_ZONE),
    st.dates(date(2013, 1, 1), date(2037, 12, 1)),
    st.integers(1, 20),
)
def test_any_sender_and_any_setting(sender: str, setting: str, first: date, days: int) -> None:
    """The setting never moves a day, but where two dates fit; and never that of a sender in its own zone."""
    if in_utc(first, sender).time() not in TWO_DATES:
        assert days_meant(first, days, sender=sender, setting=setting)
    assert days_meant(first, days, sender=sender, setting=sender)


@pytest.mark.parametrize("all_day", [False, None])
def test_ordinary_meeting(all_day: bool | None) -> None:  # noqa: FBT001 - a value under test
    """A meeting that is not all day keeps its instants, whatever the zone."""
    found = bounds("2026-01-05T00:00:00+01:00", "2026-01-05T23:59:59+01:00", "Asia/Kolkata", all_day=all_day)
    assert found == ("2026-01-04T23:00:00Z", "2026-01-05T22:59:59Z")


def test_end_that_nobody_told() -> None:
    """An end that was cleared stays cleared."""
    assert bounds("2026-01-05", None, "UTC") == ("2026-01-05T00:00:00Z", None)


def test_end_before_start() -> None:
    """An end that lies days before the start means the first day, as an all-day meeting has no shorter form."""
    assert bounds("2026-01-05", "2026-01-01", "UTC") == ("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z")


def test_bounds_that_are_one_are_the_day_that_begins_there() -> None:
    """No time at all lies between two of them, so the sender's midnight it is."""
    moment = "2026-03-05T20:00:00Z"
    assert first_day(moment, moment, UTC) == date(2026, 3, 6)
    assert day_after(moment, moment, UTC) == date(2026, 3, 7)


@pytest.mark.parametrize(
    ("end", "after"), [("2026-03-06T02:01:00Z", 6), ("2026-03-06T02:02:00Z", 7), ("2026-03-05T21:59:00Z", 6)]
)
def test_a_day_is_longer_or_shorter_by_a_change_of_clocks_at_most(end: str, after: int) -> None:
    """What lies farther from a whole number of days ends on the day that it ends on."""
    assert day_after("2026-03-05T00:00:00Z", end, UTC) == date(2026, 3, after)


def test_last_day_of_the_calendar() -> None:
    """After the last day there is none, so the times stay as they are."""
    assert bounds("9999-12-31", "9999-12-31", "UTC") == (None, None)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("2026-01-06", "2026-01-06T00:00:00Z"),
        ("2026-01-06T00:00:00Z", "2026-01-06T00:00:00Z"),
        ("2026-01-05T23:59:00Z", "2026-01-06T00:00:00Z"),
        ("2026-01-05T12:00:00Z", "2026-01-06T00:00:00Z"),
    ],
)
def test_an_end_before_any_start_is_told(end: str, expected: str) -> None:
    """It is the midnight after the last day; how many days that makes nobody knows yet."""
    found = desired({"is_all_day": True, "ends_at": end}, mapping=DEFAULT, people={}, policy=Policy())
    assert found.columns["scheduledend"] == expected
