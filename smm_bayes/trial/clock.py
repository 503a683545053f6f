"""The clock of an ADTTE table: AVAL and its unit, STARTDT and ADT, compared with each other, in whole days."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.trial.calendar import DAYS_PER_MONTH, months_per
from smm_bayes.trial.identity import normal_form
from smm_bayes.trial.table import Table, dates, first_of, is_missing, numbers, texts

LONGEST = 150 * 12.0  # months; a longer time is in another unit than AVALU says
NO_TIME = 1e-3 / DAYS_PER_MONTH  # months; SAS writes 5e-79 for 0
# days in a unit, as companies divide by them; the package's own first
CONVENTIONS = {
    "day": (1.0,),
    "week": (7.0,),
    "month": (DAYS_PER_MONTH, 30.436875, 30.44, 30.42, 30.4, 30.0),
    "year": (365.25, 365.2425, 365.0),
}
IN_LABEL = re.compile(r"(?:[(\[]|, ?|\bin )(day|week|month|year)s?[)\]]?\s*$", re.IGNORECASE)
WHOLE = 1e-6  # days
ABSURD = 1e9  # of any unit


@dataclass(frozen=True)
class Clock:
    """When the patients of a table started and ended.

    Attributes
    ----------
    time : numpy.ndarray
        Months from time zero; NaN where it cannot be read.
    start : numpy.ndarray or None
        Days of STARTDT, as ordinals; NaN where it is none. None where the table has no dates.
    end : numpy.ndarray or None
        Days on which follow-up ended, as ordinals.
    first_day : int
        What AVAL counts the day of STARTDT as: 0 or 1.
    unit : numpy.ndarray
        Days in the unit of AVAL; NaN where it is not known.
    rounding : numpy.ndarray
        How far, in days, ``end`` may be off because AVAL was printed to few digits.
    """

    time: np.ndarray
    start: np.ndarray | None
    end: np.ndarray | None
    first_day: int
    unit: np.ndarray
    rounding: np.ndarray


def read_unit(table: Table, columns: Mapping[str, str], stated: str | None, problems: Problems) -> list[str]:
    """Unit of AVAL in each row (day, week, month or year), empty where not known.

    AVALU, PARAM and the unit that is stated must agree.
    """
    given = _unit(stated) if stated else ""
    if stated and not given:
        problems.add(f"unit {stated!r} is not a unit of time; give day, week, month or year")
    column, label = columns["unit"], columns["label"]
    labels = [_unit(match[1]) if (match := IN_LABEL.search(text)) else "" for text in table.words(label)]
    cells = texts(table, column, problems, required=not given and not all(labels))
    units = [_unit(cell) for cell in cells]
    wrong = [bool(cell) and not unit for cell, unit in zip(cells, units, strict=True)]
    problems.add_rows(
        column, table.where(wrong), "not a unit of time", "write DAY, WEEK, MONTH or YEAR", first_of(cells, wrong)
    )
    against = [bool(one) and bool(two) and one != two for one, two in zip(units, labels, strict=True)]
    found = next(
        (f"{cell!r} with {text!r}" for cell, text, hit in zip(cells, table.words(label), against, strict=True) if hit),
        "",
    )
    problems.add_rows(column, table.where(against), f"another unit than '{label}' says", "correct either", found)
    said = [one or two for one, two in zip(units, labels, strict=True)]
    other = [bool(given) and bool(one) and one != given for one in said]
    problems.add_rows(
        column if column in table else label,
        table.where(other),
        f"another unit than unit = {stated!r} states",
        "correct either",
        first_of([cell or text for cell, text in zip(cells, table.words(label), strict=True)], other),
    )
    silent = [not one and column not in table and not given for one in labels]
    if not all(silent):
        problems.add_rows(label, table.where(silent), "no unit of time", 'say it there, or state it: unit = "day"')
    return [one or given for one in said]


def says_unit(table: Table, columns: Mapping[str, str]) -> bool:
    """Whether AVALU is there, or PARAM says the unit."""
    return columns["unit"] in table or any(map(IN_LABEL.search, table.cells(columns["label"])))


def _unit(text: str) -> str:
    """Day, week, month or year; empty for another word."""
    word = normal_form(text).removesuffix("s")
    return word if months_per(word) is not None else ""


def read_clock(
    table: Table, columns: Mapping[str, str], unit: str | None, first_day: int | None, problems: Problems
) -> Clock:
    """Read AVAL, and STARTDT and ADT where the table has them; note whatever contradicts another.

    ADT counts where it is there: the time is ADT − STARTDT in days, plus ``first_day``. Without it, AVAL in whole days
    counts the first day as 1, as the standard does, and in another unit as 0.

    Parameters
    ----------
    table : Table
    columns : mapping of str to str
        Columns of the roles ``time``, ``unit``, ``label``, ``start`` and ``end``.
    unit : str, optional
        Unit of AVAL where the table does not say it.
    first_day : {0, 1}, optional
        What AVAL counts the day of STARTDT as, where it is known.
    problems : Problems
    """
    if first_day not in (None, 0, 1):
        problems.add(f"first_day {first_day!r} is neither 0 nor 1; say what AVAL counts the day of STARTDT as")
        first_day = None
    units = read_unit(table, columns, unit, problems)
    aval = np.minimum(numbers(table, columns["time"], problems, minimum=0), ABSURD)
    per = np.array([CONVENTIONS[one][0] if one else np.nan for one in units])
    days = aval * per
    time = np.where([one == "month" for one in units], aval, days / DAYS_PER_MONTH)
    time = np.where(time < NO_TIME, 0.0, time)
    long = time > LONGEST
    time = np.where(long, np.nan, time)
    problems.add_rows(
        columns["time"],
        table.where(long),
        f"more than {LONGEST / 12:g} years",
        f"correct the time or its unit in {columns['unit']}",
        next((text for text, hit in zip(table.cells(columns["time"]), long, strict=True) if hit), ""),
    )
    half = min((_last_digit(cell) for cell in table.cells(columns["time"])), default=0.0) / 2
    rounding = half * np.nan_to_num(per)
    start = _ordinals(table, columns["start"], problems, required=True)
    end = _ordinals(table, columns["end"], problems, required=False)
    whole = bool(units) and all(one == "day" for one in units) and bool(np.all(np.abs(days - np.round(days)) < WHOLE))
    if start is None or end is None or not np.isfinite(end - start).any():
        first = int(whole) if first_day is None else first_day
        known = None if start is None else start - first + np.where(np.isnan(time), 0, time) * DAYS_PER_MONTH
        return Clock(time, start, end if known is None else known, first, per, np.where(end is None, rounding, 0.0))
    first, agrees = _first_day(aval, units, half, end - start, first_day, problems)
    _note_contradictions(table, columns, end - start, units, agrees | long, problems)
    dated = np.isfinite(end - start)
    time = np.where(dated, (end - start + first) / DAYS_PER_MONTH, time)
    by_aval = start - first + np.where(np.isnan(time), 0, time) * DAYS_PER_MONTH
    return Clock(time, start, np.where(dated, end, by_aval), first, per, np.where(dated, 0.0, rounding))


def _ordinals(table: Table, column: str, problems: Problems, *, required: bool) -> np.ndarray | None:
    if column not in table or (not required and all(map(is_missing, table.cells(column)))):
        return None
    read = dates(table, column, problems, required=required)
    return np.array([np.nan if date is None else date.toordinal() for date in read], dtype=float)


def _last_digit(cell: str) -> float:
    """Value of one unit in the last digit that is printed: 0.01 for 27.00."""
    text = cell.strip().lower()
    if "e" in text:
        return 0.0
    return float(10.0 ** -len(text.partition(".")[2])) if len(text) < 15 else 0.0


def _first_day(
    aval: np.ndarray, units: list[str], half: float, apart: np.ndarray, stated: int | None, problems: Problems
) -> tuple[int, np.ndarray]:
    """What AVAL counts the first day as, and where it agrees with ADT − STARTDT (``apart``, in days).

    One convention of days in a month holds for the whole table; AVAL agrees within half a unit of its last digit.
    """
    known = np.isfinite(apart) & np.isfinite(aval) & np.array([bool(unit) for unit in units])
    longest = max(len(CONVENTIONS[unit]) for unit in {*units, "day"} if unit)
    best: tuple[int, int, np.ndarray] | None = None
    for choice in range(longest):
        per = np.array(
            [CONVENTIONS[unit][min(choice, len(CONVENTIONS[unit]) - 1)] if unit else np.nan for unit in units]
        )
        for first in (0, 1) if stated is None else (stated, 1 - stated):
            off = np.abs((apart + first) / per - aval)
            day = np.array([unit == "day" for unit in units])
            agrees = ~known | (off <= np.where(day, WHOLE, half + 1e-9 * np.maximum(1, np.abs(aval))))
            if best is None or int(agrees.sum()) > best[0]:
                best = int(agrees.sum()), first, agrees
    assert best is not None
    _, first, agrees = best
    if stated is None:
        return first, agrees
    either = np.zeros(len(aval), bool)  # ADT counts; AVAL may count the first day otherwise
    for other in (0, 1):
        off = (apart + other) / np.array([CONVENTIONS[unit][0] if unit else np.nan for unit in units]) - aval
        either |= np.abs(off) <= np.maximum(half, WHOLE)
    return stated, agrees | either


def _note_contradictions(
    table: Table,
    columns: Mapping[str, str],
    apart: np.ndarray,
    units: list[str],
    agrees: np.ndarray,
    problems: Problems,
) -> None:
    """Note dates in the wrong order, and those that AVAL contradicts."""
    before = apart < 0
    problems.add_rows(
        columns["end"],
        table.where(before),
        f"before {columns['start']}",
        "correct either date",
        first_of(table.cells(columns["end"]), before),
    )
    wrong = ~agrees & ~before
    found = next(
        (
            f"{day:.0f} days against {cell} {unit}s"
            for day, cell, unit, hit in zip(apart, table.cells(columns["time"]), units, wrong, strict=True)
            if hit
        ),
        "",
    )
    problems.add_rows(
        columns["end"],
        table.where(wrong),
        f"{columns['end']} − {columns['start']} contradicts {columns['time']}",
        "correct the dates, the time or its unit; where only the first day is counted otherwise, say how "
        "the dates are to be counted: first_day = 1 (or 0)",
        found,
    )


def to_calendar(
    start: np.ndarray | None, entry: np.ndarray | None, first_day: int
) -> tuple[datetime.date | None, np.ndarray | None]:
    """Date of the first enrolment, and months from it to each.

    A patient's clock stands at 0 at ``start - first_day``; enrolment is ``entry`` months later.
    """
    if start is None or not np.isfinite(start).any():
        return None, None
    zero = start - first_day
    late = np.zeros(len(zero)) if entry is None else np.clip(np.nan_to_num(entry), 0.0, LONGEST)
    first = float(np.nanmin(zero + late * DAYS_PER_MONTH))
    origin = datetime.date.fromordinal(round(first))
    return origin, (zero - origin.toordinal()) / DAYS_PER_MONTH + late
