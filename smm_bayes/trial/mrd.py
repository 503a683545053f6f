"""Assessments of minimal residual disease (MRD): many a patient, beside the patients' table."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import DataError, Problems
from smm_bayes.trial.calendar import DAYS_PER_MONTH, calendar_time, months_per, on_clock
from smm_bayes.trial.table import Table, dates, is_missing, numbers, require, texts

if TYPE_CHECKING:
    import pandas as pd

RESULTS = {
    "negative": True, "neg": True, "mrd negative": True, "undetectable": True,
    "positive": False, "pos": False, "mrd positive": False, "detectable": False,
}  # fmt: skip
# no valid result; compared after case, hyphens and underscores are taken out
INVALID = frozenset({
    "not done", "notdone", "nd", "not performed", "not assessed", "not evaluated",
    "not evaluable", "ne", "unevaluable", "non evaluable", "inevaluable", "not assessable",
    "failed", "fail", "failure", "indeterminate", "inconclusive", "invalid",
    "insufficient", "insufficient sample", "quantity not sufficient", "qns",
})  # fmt: skip
WORDS = "negative, positive, not done or failed"


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
        Lowest detectable fraction of cells, for example 1e-5; NaN where there is no valid result and none was given.
    valid : numpy.ndarray of bool
        False where the assessment was not done, or failed: ``negative`` says nothing there. All valid by default.
    assay : numpy.ndarray of str or None
        How it was assessed, as the table says, for example ``flow``; None without such a column.

    Raises
    ------
    DataError
        When columns differ in length.
    """

    row: np.ndarray
    time: np.ndarray
    negative: np.ndarray
    sensitivity: np.ndarray
    valid: np.ndarray = None  # type: ignore[assignment]
    assay: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Put times on the clock, take all results as valid where nothing is said, and refuse unequal columns."""
        object.__setattr__(self, "time", on_clock(np.asarray(self.time, dtype=float)))
        if self.valid is None:
            object.__setattr__(self, "valid", np.ones(len(self.row), dtype=bool))
        columns = (self.row, self.time, self.negative, self.sensitivity, self.valid, self.assay)
        if len({len(column) for column in columns if column is not None}) != 1:
            raise DataError("MRD assessments: columns differ in length; give one value an assessment")

    def __len__(self) -> int:
        return len(self.row)

    def keep(self, rows: np.ndarray, latest: np.ndarray) -> MrdAssessments:
        """Assessments of the patients at ``rows`` that were made no later than ``latest`` (one a row kept)."""
        position = np.full(int(max(self.row.max(initial=-1), rows.max(initial=-1))) + 1, -1)
        position[rows] = np.arange(len(rows))
        new = position[self.row]
        kept = (new >= 0) & (self.time <= on_clock(np.where(new >= 0, latest[new], -np.inf)))
        return replace(self.take(kept), row=new[kept])

    def take(self, keep: np.ndarray) -> MrdAssessments:
        """Assessments where ``keep`` is true, of the same patients."""
        assay = None if self.assay is None else self.assay[keep]
        return MrdAssessments(self.row[keep], self.time[keep], self.negative[keep], self.sensitivity[keep],
                              self.valid[keep], assay)  # fmt: skip


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
    MRDRES (negative, positive, not done or failed, and words that mean the same) and MRDSENS (sensitivity, above 0 and
    below 1; needed where there is a valid result). Column MRDASSAY (how it was assessed) may be there. ND is read as
    not done: where it stands for not detected, write negative.

    Results of one patient and day contradict each other where the same assay finds no disease at a sensitivity at
    which, or at a coarser one, it also finds some. Different sensitivities of one sample need not.

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
    roles = (("USUBJID", "the patient"), *clock, ("MRDRES", f"the result: {WORDS}"),
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
    months = _months(table, by_date, known, row, enrolled, origin, problems)
    column = "MRDDT" if by_date else "MRDTM"
    problems.add_rows(column, table.where(months < -1e-9), "before enrolment", "correct the assessment's time")
    end = np.where(known, time[row], np.nan)
    over = known & (months > end + 1e-9)
    problems.add_rows(column, table.where(over & event[row]), "MRD after the patient's event",
                      "drop assessments after progression or death")  # fmt: skip
    problems.add_rows(column, table.where(over & ~event[row]), "MRD after the patient was censored",
                      "extend the patient's follow-up (AVAL) or correct the assessment's time")  # fmt: skip
    negative, valid = _results(table, problems)
    sensitivity = _sensitivities(table, valid, problems)
    assay = np.array(texts(table, "MRDASSAY", problems, required=False), dtype=object) if "MRDASSAY" in table else None
    result = MrdAssessments(row, np.maximum(months, 0.0), negative, sensitivity, valid, assay)
    problems.add_rows("MRDRES", table.where(_contradictory(result)), "valid results of one patient and day, negative "
                      "and positive", "keep the result that counts, or correct day, sensitivity or assay")  # fmt: skip
    return result


def _months(
    table: Table,
    by_date: bool,
    known: np.ndarray,
    row: np.ndarray,
    enrolled: np.ndarray | None,
    origin: datetime.date | None,
    problems: Problems,
) -> np.ndarray:
    """Months from enrolment to each assessment; NaN where they cannot be read."""
    if not by_date:
        units = texts(table, "MRDTMU", problems)
        factor = np.array([months_per(unit) or np.nan for unit in units])
        wrong = [bool(unit) and months_per(unit) is None for unit in units]
        problems.add_rows("MRDTMU", table.where(wrong), "not a unit of time", "write day, week, month or year",
                          next((repr(u) for u, bad in zip(units, wrong, strict=True) if bad), ""))  # fmt: skip
        return numbers(table, "MRDTM", problems) * factor
    if enrolled is None or origin is None:
        problems.add("column 'MRDDT' needs the patients' STARTDT to count from; give STARTDT, or MRDTM instead")
        return np.full(len(table), np.nan)
    given = dates(table, "MRDDT", problems)
    at = [np.nan if date is None else calendar_time(date, origin) for date in given]
    return np.array(at) - np.where(known, enrolled[row], np.nan)


def _results(table: Table, problems: Problems) -> tuple[np.ndarray, np.ndarray]:
    """Whether each result is negative, and whether it is a valid result."""
    cells = texts(table, "MRDRES", problems)
    words = [" ".join(cell.lower().replace("_", " ").replace("-", " ").split()) for cell in cells]
    wrong = [bool(word) and word not in RESULTS and word not in INVALID for word in words]
    problems.add_rows("MRDRES", table.where(wrong), "not a result", f"write {WORDS}",
                      next((repr(cell) for cell, bad in zip(cells, wrong, strict=True) if bad), ""))  # fmt: skip
    negative = np.array([RESULTS.get(word, False) for word in words], dtype=bool)
    return negative, np.array([word in RESULTS for word in words], dtype=bool)


def _sensitivities(table: Table, valid: np.ndarray, problems: Problems) -> np.ndarray:
    """Sensitivity of each assessment, which a valid result needs; NaN where there is none."""
    sensitivity = numbers(table, "MRDSENS", problems, required=False)
    if "MRDSENS" in table:
        empty = np.array([is_missing(cell) for cell in table.cells("MRDSENS")], dtype=bool)
        problems.add_rows("MRDSENS", table.where(empty & valid), "no value for a valid result",
                          "give the detectable fraction of cells, such as 1e-5")  # fmt: skip
    problems.add_rows("MRDSENS", table.where((sensitivity <= 0) | (sensitivity >= 1)),
                      "not between 0 and 1", "give the detectable fraction of cells, such as 1e-5")  # fmt: skip
    return sensitivity


def _contradictory(mrd: MrdAssessments) -> np.ndarray:
    """Assessments that contradict another of the same patient, day and assay."""
    samples: dict[tuple[int, int, str], list[int]] = {}
    readable = mrd.valid & (mrd.row >= 0) & np.isfinite(mrd.time) & np.isfinite(mrd.sensitivity)
    days = np.round(np.where(readable, mrd.time, 0) * DAYS_PER_MONTH).astype(int)
    for i in np.flatnonzero(readable).tolist():
        assay = "" if mrd.assay is None else mrd.assay[i]
        samples.setdefault((int(mrd.row[i]), int(days[i]), assay), []).append(i)
    found = np.zeros(len(mrd), dtype=bool)
    for rows in samples.values():
        for one, other in product(rows, rows):
            finer = mrd.sensitivity[one] <= mrd.sensitivity[other] * (1 + 1e-6)
            if mrd.negative[one] and not mrd.negative[other] and finer:
                found[[one, other]] = True
    return found
