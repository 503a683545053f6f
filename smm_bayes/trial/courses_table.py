"""The door for courses: a table with one row a patient and a column of dates for everything that can happen."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.trial.calendar import DAYS_PER_MONTH, calendar_time
from smm_bayes.trial.columns import (
    arm_positions,
    check_number,
    check_options,
    find_arm,
    find_columns,
    patient_names,
    read_covariates,
    read_stratum,
    require_columns,
    trial_name,
)
from smm_bayes.trial.courses import ORIGINS, Courses, breaches
from smm_bayes.trial.cutoff import Ends, check_cutoff, check_future
from smm_bayes.trial.identity import ByName
from smm_bayes.trial.patients import UNKNOWN
from smm_bayes.trial.reasons import check_reasons, meaning_of
from smm_bayes.trial.selection import select_rows
from smm_bayes.trial.table import Table, dates, first_of, is_missing

if TYPE_CHECKING:
    import pandas as pd

# attribute of Courses: its column, and what it holds
COLUMNS = {
    "enrolled": ("RANDDT", "enrolment"),
    "response": ("RSPDT", "response"),
    "progression": ("PDDT", "progression"),
    "new_therapy": ("NTXDT", "the new therapy"),
    "second_progression": ("PD2DT", "second progression"),
    "progression_after_therapy": ("PDNTXDT", "the first progression after the new therapy"),
    "death": ("DTHDT", "death"),
    "last_assessment": ("LASTASDT", "the last assessment of the disease"),
    "last_before_therapy": ("NTXASDT", "the last assessment before the new therapy"),
    "last_alive": ("LSTALVDT", "last contact alive"),
    "study_entry": ("ENRLDT", "study entry"),
    "consent": ("RFICDT", "informed consent"),
}
OPTIONAL = (
    "response", "new_therapy", "second_progression", "progression_after_therapy", "last_before_therapy", *ORIGINS
)  # fmt: skip
DATED = ("enrolled", "last_assessment", *ORIGINS)  # everybody has a date
STANDARD = {
    "trial": "STUDYID",
    "patient": "USUBJID",
    "arm": "TRT01P",
    **{name: column for name, (column, _) in COLUMNS.items()},
    "censoring": "DCSREAS",
    "stratum": "STRATUM",
}
REQUIRED = {"trial": "the trial", "patient": "the patient", "arm": "the planned arm"} | {
    name: f"the date of {what}" for name, (_, what) in COLUMNS.items() if name not in OPTIONAL
}


def read_courses(
    source: Table | pd.DataFrame | str | Path,
    *,
    arms: Mapping[str, str],
    censoring: Mapping[str, str] | None = None,
    covariates: Sequence[str] = (),
    subgroups: Sequence[str] = (),
    provenance: str = "real",
    columns: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    leave_out: Sequence[str] = (),
    data_cutoff: datetime.date | None = None,
    longest_gap: float | None = None,
    patients: int | None = None,
) -> Courses:
    """Read the courses of a trial's patients from a table of dates.

    One row a patient; dates as YYYY-MM-DD; a cell is empty where it did not happen. Case does not matter in the names
    of columns. Columns:

    ============ ====================================================================================================
    STUDYID      the trial
    USUBJID      the patient
    TRT01P       the planned arm (or TRTP)
    RANDDT       enrolment; randomisation, where the trial randomises
    PDDT         first progression
    DTHDT        death
    LASTASDT     last assessment of the disease, whether or not it found a progression; RANDDT where none came after it
    LSTALVDT     last known alive; may be empty for the dead
    RSPDT        first response (optional)
    NTXDT        start of a new therapy (optional)
    PD2DT        second documented progression, whatever the treatment (optional)
    PDNTXDT      first progression after NTXDT (optional; otherwise read off PDDT and PD2DT)
    NTXASDT      last assessment of the disease no later than NTXDT, wherever there is an NTXDT (optional)
    DCSREAS      why a patient who is alive is no longer followed; empty for a patient still followed (optional)
    ENRLDT       study entry, where it may be before RANDDT (optional)
    RFICDT       informed consent (optional)
    STRATUM      stratum (optional)
    ============ ====================================================================================================

    STUDYID, USUBJID, TRT01P, RANDDT, ENRLDT, RFICDT, DTHDT and DCSREAS are ADaM's (ADSL) and LSTALVDT is commonly added
    to it; the other names are this package's, in that style. An optional column that is not there says that the trial
    did not record it, and an endpoint that needs it is refused. Without NTXASDT the disease counts as assessed up to
    NTXDT.

    Everything but assessments and contacts must be after the day of enrolment: a time to an event is positive, and
    counts the days from RANDDT without adding one.

    Parameters
    ----------
    source : Table, pandas.DataFrame or path
    arms : mapping of str to str
        Role (``control``, ``experimental``) to the name in TRT01P; only ``experimental`` for one arm.
    censoring : mapping of str to str, optional
        Text of DCSREAS to reason, for texts that do not say so themselves. Where there is no such column, the empty
        text: ``{"": "administrative"}`` says that everybody alive is still followed.
    covariates : sequence of str
        Numeric columns to keep.
    subgroups : sequence of str
        Columns to keep whose texts name subgroups.
    provenance : {"real", "reconstructed", "simulated"}
    columns, flags, leave_out, data_cutoff, longest_gap, patients
        As in :func:`smm_bayes.trial.adtte.read_adtte`; the roles of ``columns`` are the keys of :data:`STANDARD`.

    Returns
    -------
    Courses
        Its data cut-off, where it is not stated, is the last day anybody was known to be alive, or died.

    Raises
    ------
    DataError
        Naming every problem with its column, rows and remedy.

    References
    ----------
    CDISC, Analysis Data Model Implementation Guide, version 1.3 (ADSL).
    """
    table = Table.of(source, "courses")
    problems = Problems(table.name)
    check_options(arms, provenance, problems)
    check_reasons(censoring, problems)
    at = find_columns(table, STANDARD, columns, problems)
    find_arm(table, at, columns, problems)
    require_columns(table, at, REQUIRED, problems)
    table, left = select_rows(table, at, flags, leave_out, arms, problems)
    trial = trial_name(table, at["trial"], problems)
    names = patient_names(table, at["patient"], problems, one_row="patient")
    check_number(names, patients, problems)
    ordered, arm = arm_positions(table, at["arm"], arms, problems)
    origin, when = _dates(table, at, problems)
    _check_order(table, at, when, problems)
    alive = np.array([is_missing(cell) for cell in table.cells(at["death"])], dtype=bool)
    reason = _reasons(table, at, alive, censoring or {}, problems)
    if "last_alive" in when:
        when["last_alive"] = np.where(alive, when["last_alive"], when["death"])
    cutoff = _cutoff(table, at, origin, when, reason == "administrative", data_cutoff, longest_gap, problems)
    kept = read_covariates(table, covariates, subgroups, problems)
    stratum = read_stratum(table, at["stratum"], problems)
    problems.raise_if_any()
    assert cutoff is not None
    return Courses(
        patient=np.array(names, dtype=object), arm=arm, censoring=reason, arms=ordered,
        arm_names=tuple(arms[role] for role in ordered), data_cutoff=cutoff, trial=trial,
        stratum=stratum, covariates=kept, origin=origin, provenance=provenance, left_out=tuple(left),
        cutoff_stated=data_cutoff is not None, **{name: when.get(name) for name in COLUMNS},  # type: ignore[arg-type]
    )  # fmt: skip


def _dates(
    table: Table, at: Mapping[str, str], problems: Problems
) -> tuple[datetime.date | None, dict[str, np.ndarray]]:
    """Date of the first enrolment, and months from it to everything there is a column for."""
    given = {}
    for name in COLUMNS:
        if name not in OPTIONAL or at[name] in table:
            given[name] = dates(table, at[name], problems, required=name in DATED)
    if "last_before_therapy" in given and "new_therapy" not in given:
        problems.add(f"column '{at['last_before_therapy']}' needs column '{at['new_therapy']}', the date of the new "
                     "therapy; add it")  # fmt: skip
    if at["death"] in table and at["last_alive"] in table:
        cells = zip(table.cells(at["death"]), table.cells(at["last_alive"]), strict=True)
        silent = [is_missing(death) and is_missing(last) for death, last in cells]
        problems.add_rows(at["last_alive"], table.where(silent),
                          f"no date for a patient who has not died ({at['death']})",
                          "give the day on which the patient was last known to be alive")  # fmt: skip
    origin = min((date for date in given["enrolled"] if date is not None), default=None)
    return origin, {
        name: np.array([np.nan if date is None or origin is None else calendar_time(date, origin) for date in column])
        for name, column in given.items()
    }


def _cutoff(
    table: Table,
    at: Mapping[str, str],
    origin: datetime.date | None,
    when: Mapping[str, np.ndarray],
    followed: np.ndarray,
    stated: datetime.date | None,
    longest_gap: float | None,
    problems: Problems,
) -> float | None:
    """Calendar time of the data cut-off, with what contradicts it noted; None where no date can be read."""
    if origin is None:
        return None
    start = origin.toordinal()
    ends = [Ends(at[name], start + months * DAYS_PER_MONTH) for name, months in when.items() if name != "last_alive"]
    ends.append(Ends(at["last_alive"], start + when["last_alive"] * DAYS_PER_MONTH))
    if stated is None:
        check_future(table, ends, problems)
    day = None if stated is None else float(stated.toordinal())
    found = check_cutoff(table, ends, followed, day, longest_gap, str(stated), problems)
    return None if found is None else round(found - start) / DAYS_PER_MONTH


def _check_order(table: Table, at: Mapping[str, str], when: Mapping[str, np.ndarray], problems: Problems) -> None:
    """Note dates in an impossible order; of one cell only the first rule it breaks."""
    noted = {name: np.zeros(len(table), bool) for name in when}
    for name, broken, other, hit in breaches(when):
        column, against, what = at[name], at[other], COLUMNS[other][1]
        if broken == "without":  # a date that could not be read has been noted, and so has a missing column
            hit = hit & np.array([against in table and is_missing(cell) for cell in table.cells(against)])
        rows = hit & ~noted[name]
        noted[name] |= hit
        found = next((cell for cell, row in zip(table.cells(column), rows, strict=True) if row), "")
        remedy = "give both dates or neither" if broken == "without" else "correct either date"
        if other == "enrolled" and broken == "not after":
            remedy = "the time to an event is positive, so correct either date"
        problems.add_rows(column, table.where(rows), f"{broken} {what} ({against})", remedy, found)


def _reasons(
    table: Table, at: Mapping[str, str], alive: np.ndarray, meaning: Mapping[str, str], problems: Problems
) -> np.ndarray:
    """Why patients who are alive are no longer followed; empty for the dead, unknown in a table without reasons."""
    column, declared = at["censoring"], ByName((text, why) for text, why in meaning.items() if text.strip())
    nothing = next((why for text, why in meaning.items() if not text.strip()), "administrative")
    if column not in table and not meaning:
        return np.where(alive, UNKNOWN, "").astype(object)
    given = table.words(column)
    reason = [(declared.get(text) or meaning_of(text).reason) if text else nothing for text in given]
    silent = np.array([bool(text) and not why for text, why in zip(given, reason, strict=True)], dtype=bool)
    dead = alive & silent & np.array(["death" in text.lower() or "died" in text.lower() for text in given], dtype=bool)
    if at["death"] in table:
        problems.add_rows(column, table.where(dead), "death, but no date of death", f"give {at['death']}")
    odd = alive & silent & ~dead
    problems.add_rows(column, table.where(odd), "a reason that is not understood",
                      'say in the specification what it means, as in censoring = {"Physician decision" = "other"}',
                      first_of(given, odd))  # fmt: skip
    return np.where(alive, reason, "").astype(object)
