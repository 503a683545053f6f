"""Assessments of minimal residual disease (MRD): many a patient, beside the patients' table."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import DataError, Problems
from smm_bayes.trial.calendar import calendar_time, months_per
from smm_bayes.trial.table import Table, dates, numbers, require, texts

if TYPE_CHECKING:
    import pandas as pd

RESULTS = {
    "negative": True, "neg": True, "mrd-negative": True, "undetectable": True,
    "positive": False, "pos": False, "mrd-positive": False, "detectable": False,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class MrdAssessments:
    """MRD results, one a row.

    Attributes
    ----------
    row : numpy.ndarray of int
        Position of the patient in :class:`~smm_bayes.trial.patients.Patients`.
    time : numpy.ndarray of float
        Months from enrolment to the assessment (``mrd_time``).
    negative : numpy.ndarray of bool
        True where no residual disease was found (``mrd_negative``).
    sensitivity : numpy.ndarray of float
        Lowest detectable fraction of cells, for example 1e-5.
    """

    row: np.ndarray
    time: np.ndarray
    negative: np.ndarray
    sensitivity: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def keep(self, rows: np.ndarray, latest: np.ndarray) -> MrdAssessments:
        """Assessments of the patients at ``rows`` that were made no later than ``latest`` (one a row kept)."""
        position = np.full(int(max(self.row.max(initial=-1), rows.max(initial=-1))) + 1, -1)
        position[rows] = np.arange(len(rows))
        new = position[self.row]
        kept = (new >= 0) & (self.time <= np.where(new >= 0, latest[new], -np.inf) + 1e-9)
        return MrdAssessments(new[kept], self.time[kept], self.negative[kept], self.sensitivity[kept])


def read_mrd(
    source: Table | pd.DataFrame | str | Path,
    patients: Mapping[str, int],
    time: np.ndarray,
    event: np.ndarray,
    enrolled: np.ndarray | None,
    origin: datetime.date | None,
    problems: Problems,
) -> MrdAssessments | None:
    """Read an MRD table and check it against the patients.

    The table has USUBJID, MRDTM (time since enrolment, in MRDTMU: day, week, month or year) or MRDDT (date),
    MRDRES (negative or positive) and MRDSENS (sensitivity, above 0 and below 1).

    Parameters
    ----------
    source : Table, pandas.DataFrame or path
    patients : mapping of str to int
        Position of each patient.
    time, event : numpy.ndarray
        Months to event or censoring, and which.
    enrolled : numpy.ndarray or None
        Calendar time of enrolment in months since ``origin``; needed for dates.
    origin : datetime.date or None
    problems : Problems
        Takes every problem found.

    Returns
    -------
    MrdAssessments or None
        None when a problem was found.
    """
    before = len(problems)
    try:
        table = Table.of(source, "MRD table")
    except DataError as error:
        problems.add(f"MRD table {error}")
        return None
    label = f"MRD table {table.name}: " if table.name != "MRD table" else "MRD table: "
    own = Problems(table.name)
    by_date = "MRDDT" in table and "MRDTM" not in table
    clock = (("MRDDT", "the date of assessment"),) if by_date else (
        ("MRDTM", "the time of assessment since enrolment (or MRDDT, its date)"),
        ("MRDTMU", "the unit of MRDTM: day, week, month or year"),
    )  # fmt: skip
    roles = (("USUBJID", "the patient"), *clock, ("MRDRES", "negative or positive"),
             ("MRDSENS", "the sensitivity, such as 1e-5"))  # fmt: skip
    require(table, roles, own)
    result = _assessments(table, by_date, patients, time, event, enrolled, origin, own)
    for text in own:
        problems.add(label + text)
    return result if len(problems) == before else None


def _assessments(
    table: Table,
    by_date: bool,
    patients: Mapping[str, int],
    time: np.ndarray,
    event: np.ndarray,
    enrolled: np.ndarray | None,
    origin: datetime.date | None,
    problems: Problems,
) -> MrdAssessments:
    names = texts(table, "USUBJID", problems)
    row = np.array([patients.get(name, -1) for name in names], dtype=int)
    unknown = [bool(name) and index < 0 for name, index in zip(names, row, strict=True)]
    problems.add_rows("USUBJID", table.where(unknown), "no such patient in the trial",
                      "correct the identifier or drop the row",
                      next((repr(n) for n, u in zip(names, unknown, strict=True) if u), ""))  # fmt: skip
    known = row >= 0
    column = "MRDDT" if by_date else "MRDTM"
    if not by_date:
        units = texts(table, "MRDTMU", problems)
        factor = np.array([months_per(unit) or np.nan for unit in units])
        wrong = [bool(unit) and months_per(unit) is None for unit in units]
        problems.add_rows("MRDTMU", table.where(wrong), "not a unit of time", "write day, week, month or year",
                          next((repr(u) for u, bad in zip(units, wrong, strict=True) if bad), ""))  # fmt: skip
        months = numbers(table, "MRDTM", problems) * factor
    elif enrolled is None or origin is None:
        problems.add("column 'MRDDT' needs the patients' STARTDT to count from; give STARTDT, or MRDTM instead")
        months = np.full(len(table), np.nan)
    else:
        given = dates(table, "MRDDT", problems)
        start = np.where(known, enrolled[row], np.nan)
        at = [np.nan if date is None else calendar_time(date, origin) for date in given]
        months = np.array(at) - start
    problems.add_rows(column, table.where(months < -1e-9), "before enrolment", "correct the assessment's time")
    end = np.where(known, time[row], np.nan)
    over = known & (months > end + 1e-9)
    problems.add_rows(column, table.where(over & event[row]), "MRD after the patient's event",
                      "drop assessments after progression or death")  # fmt: skip
    problems.add_rows(column, table.where(over & ~event[row]), "MRD after the patient was censored",
                      "extend the patient's follow-up (AVAL) or correct the assessment's time")  # fmt: skip
    words = [word.lower() for word in texts(table, "MRDRES", problems)]
    wrong = [bool(word) and word not in RESULTS for word in words]
    problems.add_rows("MRDRES", table.where(wrong), "not a result", "write negative or positive",
                      next((repr(w) for w, bad in zip(words, wrong, strict=True) if bad), ""))  # fmt: skip
    sensitivity = numbers(table, "MRDSENS", problems)
    problems.add_rows("MRDSENS", table.where((sensitivity <= 0) | (sensitivity >= 1)),
                      "not between 0 and 1", "give the detectable fraction of cells, such as 1e-5")  # fmt: skip
    negative = np.array([RESULTS.get(word, False) for word in words], dtype=bool)
    return MrdAssessments(row, np.maximum(months, 0.0), negative, sensitivity)
