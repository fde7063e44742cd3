"""Alertmanager's time intervals, in which a route tells nobody."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)


def within(intervals: Sequence[Mapping[str, Any]], at: float) -> bool:
    """Whether a time (seconds since 1970) is in one of `time_intervals`, each as Alertmanager's file has it."""
    return any(_in(interval, at) for interval in intervals)


def _in(interval: Mapping[str, Any], at: float) -> bool:
    zone = ZoneInfo(interval["location"]) if interval.get("location") else UTC
    now = datetime.fromtimestamp(at, zone)
    minute = now.hour * 60 + now.minute
    last = monthrange(now.year, now.month)[1]
    return (
        _among(
            minute, [(_minute(each["start_time"]), _minute(each["end_time"]) - 1) for each in _of(interval, "times")]
        )
        and _among(now.isoweekday() % 7, [_range(each, _DAYS, 0) for each in _of(interval, "weekdays")])
        and _among(now.day, [_of_month(each, last) for each in _of(interval, "days_of_month")])
        and _among(now.month, [_range(each, _MONTHS, 1) for each in _of(interval, "months")])
        and _among(now.year, [_range(each, (), 0) for each in _of(interval, "years")])
    )


def _of(interval: Mapping[str, Any], key: str) -> Sequence[Any]:
    return interval.get(key) or ()


def _among(value: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return not ranges or any(first <= value <= last for first, last in ranges)


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _range(said: object, names: Sequence[str], begin: int) -> tuple[int, int]:
    """`monday:friday`, `3` or `2026:2027`."""
    ends = [
        names.index(each.lower()) + begin if each.lower() in names else int(each) for each in str(said).split(":", 1)
    ]
    return ends[0], ends[-1]


def _of_month(said: object, last: int) -> tuple[int, int]:
    """Days of a month that has `last` of them; negative ones count from its end."""
    first, end = (day + last + 1 if day < 0 else day for day in _range(said, (), 0))
    return first, end
