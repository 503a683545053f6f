"""One clock: every duration is in months, every calendar time in months since the trial's origin.

The clock ticks 10,240,000 times a day, so every 8 milliseconds. A time is the nearest tick, and every time that is made
is put on the clock (:func:`on_clock`): two times are equal as numbers exactly where they are the same day, whatever
they were computed from. Whole days, weeks, months and years are whole numbers of ticks, and so are months, weeks and
years to four decimals. A decimal number never lies half-way between two ticks unless it has eleven decimals or more,
so rounding errors do not decide. Differences and sums of times are computed in ticks where many are needed.
"""

from __future__ import annotations

import datetime
from typing import overload

import numpy as np

DAYS_PER_MONTH = 365.25 / 12
TICKS_PER_MONTH = 10_240_000 * DAYS_PER_MONTH  # 311,680,000: a whole number, so exact
FAR = 2**50 / TICKS_PER_MONTH  # months from which floats are coarser than ticks; times beyond stay as they are
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


def ticks(months: np.ndarray | float) -> np.ndarray:
    """Whole ticks of the clock in a time in months, as floats; infinite and NaN stay."""
    return np.rint(np.asarray(months, dtype=float) * TICKS_PER_MONTH)


@overload
def on_clock(months: float) -> float: ...


@overload
def on_clock(months: np.ndarray) -> np.ndarray: ...


def on_clock(months: np.ndarray | float) -> np.ndarray | float:
    """Give the normal form of times in months: the nearest tick of the clock, from ticks by one division.

    Equal days are then equal numbers. Infinite and NaN stay, and whole days and months are what they were. Shape and
    kind, array or number, are kept.

    >>> float(on_clock(6.0)), bool(on_clock(47 / DAYS_PER_MONTH - 19 / DAYS_PER_MONTH) == 28 / DAYS_PER_MONTH)
    (6.0, True)
    """
    given = np.asarray(months, dtype=float)
    found = np.where(np.abs(given) < FAR, ticks(np.where(np.abs(given) < FAR, given, 0.0)) / TICKS_PER_MONTH, given)
    return found if isinstance(months, np.ndarray) else float(found)
