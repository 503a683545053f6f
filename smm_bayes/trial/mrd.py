"""Assessments of minimal residual disease (MRD): many a patient, beside the patients' table."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import DataError, Problems
from smm_bayes.trial.calendar import DAYS_PER_MONTH, calendar_time, months_per, on_clock
from smm_bayes.trial.identity import ByName
from smm_bayes.trial.table import Table, dates, is_missing, numbers, require, texts

if TYPE_CHECKING:
    import pandas as pd

RESULTS = {
    "negative": True, "neg": True, "mrd negative": True, "undetectable": True,
    "not detected": True, "mrd neg": True,
    "positive": False, "pos": False, "mrd positive": False, "detectable": False,
    "detected": False, "mrd pos": False,
}  # fmt: skip
# no valid result; compared after case, hyphens and underscores are taken out
INVALID = frozenset({
    "not done", "notdone", "not performed", "not assessed", "not evaluated",
    "not evaluable", "ne", "unevaluable", "non evaluable", "inevaluable", "not assessable",
    "failed", "fail", "failure", "indeterminate", "inconclusive", "invalid",
    "insufficient", "insufficient sample", "quantity not sufficient", "qns",
})  # fmt: skip
WORDS = "negative, positive, not done or failed"
BEFORE = "before enrolment"
AFTER_EVENT = "after the event"
AFTER_CENSORING = "after the last assessment of the endpoint"
FINER, COARSER = "positive at a finer limit", "negative at a coarser limit"
OTHER_LIMIT = "without valid result at another limit"
LONGEST = 150 * 12.0  # months
SAME = 1 + 1e-6  # limits whose ratio is below this are one
SHOWN = 8  # words in a message


@dataclass(frozen=True)
class SetAside:
    """One assessment of the table that counts for nothing, and why.

    Attributes
    ----------
    row : int
        Position of the patient.
    time : float
        Months from enrolment; negative before it.
    end : float
        Months to the event or to the censoring that the assessment is after; infinite where it is not for that.
    reason : str
    """

    row: int
    time: float
    end: float
    reason: str


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
    aside : tuple of SetAside
        Assessments that the table has and that are not among these.

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
    aside: tuple[SetAside, ...] = ()

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
        until = on_clock(np.asarray(latest, dtype=float))
        kept = (new >= 0) & (self.time <= np.where(new >= 0, until[new], -np.inf))
        moved = {old: index for index, old in enumerate(rows.tolist())}
        aside = tuple(
            replace(one, row=moved[one.row])
            for one in self.aside
            if one.row in moved and min(one.time, one.end) <= until[moved[one.row]]
        )
        return replace(self.take(kept), row=new[kept], aside=aside)

    def take(self, keep: np.ndarray) -> MrdAssessments:
        """Assessments where ``keep`` is true, of the same patients."""
        assay = None if self.assay is None else self.assay[keep]
        return MrdAssessments(self.row[keep], self.time[keep], self.negative[keep], self.sensitivity[keep],
                              self.valid[keep], assay, self.aside)  # fmt: skip

    def put_aside(self, why: Mapping[str, np.ndarray], end: np.ndarray | float = np.inf) -> MrdAssessments:
        """Set assessments aside: those where the mask of a reason is true, with its reason."""
        gone, aside = np.zeros(len(self), dtype=bool), list(self.aside)
        until = np.broadcast_to(end, len(self))
        for reason, mask in why.items():
            for i in np.flatnonzero(mask & ~gone).tolist():
                aside.append(SetAside(int(self.row[i]), float(self.time[i]), float(until[i]), reason))
            gone |= mask
        return replace(self.take(~gone), aside=tuple(aside))

    def at(self, sensitivity: float) -> MrdAssessments:
        """Give what the assessments say at one limit of detection; those that say nothing of it are set aside.

        No cell in a million is no cell in a hundred thousand: a negative result at a finer limit is negative here. One
        cell in a hundred thousand is more than one in a million: a positive result at a coarser limit is positive
        here. A positive result at a finer limit, and a negative one at a coarser limit, say nothing.

        Parameters
        ----------
        sensitivity : float
            Detectable fraction of cells, for example 1e-5.
        """
        finer = self.sensitivity * SAME < sensitivity
        coarser = self.sensitivity > sensitivity * SAME
        return self.put_aside({
            FINER: self.valid & ~self.negative & finer, COARSER: self.valid & self.negative & coarser,
            OTHER_LIMIT: ~self.valid & (finer | coarser),
        })  # fmt: skip

    @property
    def limits(self) -> np.ndarray:
        """Limits of detection of the valid results, each once, the finest first."""
        values = np.unique(self.sensitivity[self.valid])
        return values[np.append(True, values[1:] > values[:-1] * SAME)] if len(values) else values

    @property
    def set_aside(self) -> dict[str, int]:
        """Number of assessments set aside, by reason."""
        return dict(Counter(one.reason for one in self.aside))

    def summary(self) -> str:
        """How many there are, how many have no valid result, and how many were set aside, by reason."""
        invalid = int((~self.valid).sum())
        notes = [f"{invalid} without valid result"] if invalid else []
        notes += [f"set aside: {in_words(self.set_aside)}"] if self.aside else []
        return f"{len(self)} ({'; '.join(notes)})" if notes else str(len(self))


def in_words(set_aside: Mapping[str, int]) -> str:
    """Numbers set aside, each before its reason."""
    return ", ".join(f"{number} {reason}" for reason, number in set_aside.items())


def read_mrd(
    source: Table | pd.DataFrame | str | Path,
    patients: Mapping[str, int],
    time: np.ndarray,
    event: np.ndarray,
    enrolled: np.ndarray | None,
    origin: datetime.date | None,
    problems: Problems,
    died: np.ndarray | None = None,
) -> MrdAssessments | None:
    """Read an MRD table and check it against the patients.

    The table has USUBJID, MRDTM (time since enrolment, in MRDTMU: day, week, month or year) or MRDDT (date),
    MRDRES (negative, positive, not done or failed, and words that mean the same) and MRDSENS (sensitivity, above 0 and
    below 1; needed where there is a valid result). Column MRDASSAY (how it was assessed) may be there. A word that is
    none of these is asked about, and so is ND, which may be not done or not detected.

    Every row is a valid result, one not done or failed, set aside with its reason, or an error. Set aside are
    assessments before enrolment (such as the sample in which the clone was found), after the patient's event, and
    after the censoring of the endpoint, which is at its last assessment and may be before the last sample. After a
    death there is no sample: that is an error.

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
    died : numpy.ndarray of bool, optional
        Patients whose event is known to be death; nobody if not given.

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
    result = _assessments(table, by_date, patients, enrolled, origin, own)
    result = _within_follow_up(result, table, clock[0][0], time, event, died, own)
    for text in own:
        problems.add(label + text)
    return result if len(problems) == before else None


def _assessments(
    table: Table,
    by_date: bool,
    patients: Mapping[str, int],
    enrolled: np.ndarray | None,
    origin: datetime.date | None,
    problems: Problems,
) -> MrdAssessments:
    """Every row of the table as it is, whenever it was made."""
    row = _patients(table, patients, problems)
    months = _months(table, by_date, row >= 0, row, enrolled, origin, problems)
    problems.add_rows("MRDDT" if by_date else "MRDTM", table.where(np.abs(months) > LONGEST),
                      f"more than {LONGEST / 12:g} years from enrolment", "correct the time or its unit")  # fmt: skip
    negative, valid = _results(table, problems)
    sensitivity = _sensitivities(table, valid, problems)
    assay = np.array(texts(table, "MRDASSAY", problems, required=False), dtype=object) if "MRDASSAY" in table else None
    result = MrdAssessments(row, months, negative, sensitivity, valid, assay)
    problems.add_rows("MRDRES", table.where(_contradictory(result)), "valid results of one patient and day, negative "
                      "and positive", "keep the result that counts, or correct day, sensitivity or assay")  # fmt: skip
    return result


def _patients(table: Table, patients: Mapping[str, int], problems: Problems) -> np.ndarray:
    """Position of each row's patient, names in their normal form; -1 where there is none."""
    names, position = texts(table, "USUBJID", problems), ByName(patients.items())
    row = np.array([position.get(name, -1) for name in names], dtype=int)
    unknown = [bool(name) and index < 0 for name, index in zip(names, row, strict=True)]
    found = [repr(name) for name, none in zip(names, unknown, strict=True) if none]
    problems.add_rows("USUBJID", table.where(unknown), "no such patient in the trial",
                      "write the identifier as the patients' table does, or drop the row", _listed(found))  # fmt: skip
    return row


def _listed(words: Sequence[str]) -> str:
    """The words found, each once, the first few of many."""
    once = list(dict.fromkeys(words))
    return ", ".join(once[:SHOWN]) + (f" and {len(once) - SHOWN} more" if len(once) > SHOWN else "")


def _within_follow_up(
    mrd: MrdAssessments,
    table: Table,
    column: str,
    time: np.ndarray,
    event: np.ndarray,
    died: np.ndarray | None,
    problems: Problems,
) -> MrdAssessments:
    """Set aside what was assessed before enrolment, or after the event or the censoring."""
    known = mrd.row >= 0
    end = np.where(known, time[mrd.row], np.nan)
    over = known & (mrd.time > end)
    dead = over & (np.zeros(len(mrd), dtype=bool) if died is None else died[mrd.row])
    found = _listed([cell for cell, hit in zip(table.cells(column), dead, strict=True) if hit])
    problems.add_rows(column, table.where(dead), "MRD after the patient's death", "correct one of the days", found)
    before = known & (mrd.time < 0)
    kept = mrd.put_aside({BEFORE: before, AFTER_EVENT: over & event[mrd.row], AFTER_CENSORING: over}, end)
    return replace(kept, time=np.maximum(kept.time, 0.0))


def death_in(text: str) -> bool:
    """Whether a cause of event, or its description, is death and nothing else.

    >>> [death_in(text) for text in ("DEATH DUE TO PROGRESSION", "progression or death", "Progression")]
    [True, False, False]
    """
    words = set(re.findall(r"[a-z]+", text.lower()))
    return bool(words & {"death", "died", "dead"}) and "or" not in words and "/" not in text


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
    cells = texts(table, "MRDRES", problems, required=False)
    words = [" ".join(cell.lower().replace("_", " ").replace("-", " ").split()) for cell in cells]
    if "MRDRES" in table:
        empty = [not cell for cell in cells]
        problems.add_rows("MRDRES", table.where(empty), "no value", f"write {WORDS}, or drop the row")
    nd = [word == "nd" for word in words]
    problems.add_rows("MRDRES", table.where(nd), "ND may be not done or not detected", "write the one that it is")
    wrong = [bool(cell) and word not in (*RESULTS, *INVALID, "nd") for cell, word in zip(cells, words, strict=True)]
    problems.add_rows("MRDRES", table.where(wrong), "not a result", f"write {WORDS}",
                      _listed([repr(cell) for cell, bad in zip(cells, wrong, strict=True) if bad]))  # fmt: skip
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
    readable = mrd.valid & (mrd.row >= 0) & (np.abs(mrd.time) <= LONGEST) & np.isfinite(mrd.sensitivity)
    days = np.round(np.where(readable, mrd.time, 0) * DAYS_PER_MONTH).astype(int)
    for i in np.flatnonzero(readable).tolist():
        assay = "" if mrd.assay is None else mrd.assay[i]
        samples.setdefault((int(mrd.row[i]), int(days[i]), assay), []).append(i)
    found = np.zeros(len(mrd), dtype=bool)
    for rows in samples.values():
        for one, other in product(rows, rows):
            finer = mrd.sensitivity[one] <= mrd.sensitivity[other] * SAME
            if mrd.negative[one] and not mrd.negative[other] and finer:
                found[[one, other]] = True
    return found
