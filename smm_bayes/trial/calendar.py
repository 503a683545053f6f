"""One clock: every duration is in months, every calendar time in months since the trial's origin."""

from __future__ import annotations

import datetime

DAYS_PER_MONTH = 365.25 / 12
MONTHS_PER_UNIT = {
    "day": 1 / DAYS_PER_MONTH,
    "week": 7 / DAYS_PER_MONTH,
    "month": 1.0,
    "year": 12.0,
}


def months_per(unit: str) -> float | None:
    """Months in one ``unit`` (day, week, month, year; plural and any case), or None for another word.

    >>> months_per("YEARS")
    12.0
    """
    return MONTHS_PER_UNIT.get(unit.strip().lower().removesuffix("s"))


def calendar_time(date: datetime.date, origin: datetime.date) -> float:
    """Months from ``origin`` to ``date``."""
    return (date - origin).days / DAYS_PER_MONTH


def calendar_date(time: float, origin: datetime.date) -> datetime.date:
    """Date that is ``time`` months after ``origin``, rounded to the day."""
    return origin + datetime.timedelta(days=round(time * DAYS_PER_MONTH))
