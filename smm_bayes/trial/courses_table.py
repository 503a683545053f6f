"""The door for courses: a table with one row a patient and a column of dates for everything that can happen."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.trial.calendar import calendar_time
from smm_bayes.trial.columns import (
    arm_positions,
    check_options,
    check_reasons,
    covariate_roles,
    has_optional,
    patient_names,
    read_covariates,
    reason_in,
    trial_name,
)
from smm_bayes.trial.courses import ORIGINS, Courses, breaches
from smm_bayes.trial.table import YEARS, Table, dates, is_missing, require, texts

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
OPTIONAL = ("response", "new_therapy", "second_progression", "progression_after_therapy", "last_before_therapy",
            *ORIGINS)  # fmt: skip
DATED = ("enrolled", "last_assessment", *ORIGINS)  # everybody has a date


def read_courses(
    source: Table | pd.DataFrame | str | Path,
    *,
    arms: Mapping[str, str],
    censoring: Mapping[str, str] | None = None,
    covariates: Sequence[str] = (),
    subgroups: Sequence[str] = (),
    provenance: str = "real",
) -> Courses:
    """Read the courses of a trial's patients from a table of dates.

    One row a patient; dates as YYYY-MM-DD; a cell is empty where it did not happen. Columns:

    ============ ====================================================================================================
    STUDYID      the trial
    USUBJID      the patient
    TRT01P       the planned arm
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
    DCSREAS      why a patient who is alive is no longer followed; empty for who is still followed (optional)
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
        Text of DCSREAS to reason, for texts that do not say so themselves.
    covariates : sequence of str
        Numeric columns to keep.
    subgroups : sequence of str
        Columns to keep whose texts name subgroups.
    provenance : {"real", "reconstructed", "simulated"}

    Returns
    -------
    Courses
        Its data cut-off is the last day anybody was known to be alive, or died.

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
    roles = [("STUDYID", "the trial"), ("USUBJID", "the patient"), ("TRT01P", "the planned arm")]
    roles += [(column, f"the date of {what}") for name, (column, what) in COLUMNS.items() if name not in OPTIONAL]
    require(table, [*roles, *covariate_roles(covariates, subgroups)], problems)
    trial = trial_name(table, problems)
    names = patient_names(table, "USUBJID", problems, one_row="patient")
    ordered, arm = arm_positions(table, "TRT01P", arms, problems)
    origin, when = _dates(table, problems)
    _check_order(table, when, problems)
    alive = np.array([is_missing(cell) for cell in table.cells("DTHDT")], dtype=bool)
    reason = _reasons(table, alive, censoring or {}, problems)
    stratum = np.array(texts(table, "STRATUM", problems), dtype=object) if "STRATUM" in table else None
    kept = read_covariates(table, covariates, subgroups, problems)
    problems.raise_if_any()
    when["last_alive"] = np.where(alive, when["last_alive"], when["death"])
    return Courses(
        patient=np.array(names, dtype=object), arm=arm, censoring=reason, arms=ordered,
        arm_names=tuple(arms[role] for role in ordered), data_cutoff=float(when["last_alive"].max()), trial=trial,
        stratum=stratum, covariates=kept, origin=origin, provenance=provenance,
        **{name: when.get(name) for name in COLUMNS},  # type: ignore[arg-type]
    )  # fmt: skip


def _dates(table: Table, problems: Problems) -> tuple[datetime.date | None, dict[str, np.ndarray]]:
    """Date of the first enrolment, and months from it to everything there is a column for."""
    given = {}
    for name, (column, what) in COLUMNS.items():
        if name not in OPTIONAL or has_optional(table, column, f"the date of {what}", problems):
            read = dates(table, column, problems, required=name in DATED)
            given[name] = [date if date is not None and date.year in YEARS else None for date in read]
    if "last_before_therapy" in given and "new_therapy" not in given:
        problems.add("column 'NTXASDT' needs column 'NTXDT', the date of the new therapy; add it")
    if "DTHDT" in table and "LSTALVDT" in table:
        cells = zip(table.cells("DTHDT"), table.cells("LSTALVDT"), strict=True)
        silent = [is_missing(death) and is_missing(last) for death, last in cells]
        problems.add_rows("LSTALVDT", table.where(silent), "no date for a patient who has not died (DTHDT)",
                          "give the day on which the patient was last known to be alive")  # fmt: skip
    origin = min((date for date in given["enrolled"] if date is not None), default=None)
    return origin, {
        name: np.array([np.nan if date is None or origin is None else calendar_time(date, origin) for date in column])
        for name, column in given.items()
    }


def _check_order(table: Table, when: Mapping[str, np.ndarray], problems: Problems) -> None:
    """Note dates in an impossible order; of one cell only the first rule it breaks."""
    noted = {name: np.zeros(len(table), bool) for name in when}
    for name, broken, other, hit in breaches(when):
        column, (against, what) = COLUMNS[name][0], COLUMNS[other]
        if broken == "without":  # a date that could not be read has been noted, and so has a missing column
            hit = hit & np.array([against in table and is_missing(cell) for cell in table.cells(against)])
        rows = hit & ~noted[name]
        noted[name] |= hit
        found = next((cell for cell, row in zip(table.cells(column), rows, strict=True) if row), "")
        remedy = "give both dates or neither" if broken == "without" else "correct either date"
        if other == "enrolled" and broken == "not after":
            remedy = "the time to an event is positive, so correct either date"
        problems.add_rows(column, table.where(rows), f"{broken} {what} ({against})", remedy, found)


def _reasons(table: Table, alive: np.ndarray, meaning: Mapping[str, str], problems: Problems) -> np.ndarray:
    """Why who is alive is no longer followed; empty for the dead, whatever their cell says."""
    if not has_optional(table, "DCSREAS", "the reason for leaving the trial", problems):
        return np.where(alive, "administrative", "").astype(object)
    given = texts(table, "DCSREAS", problems, required=False)
    known = {text.strip().lower(): reason for text, reason in meaning.items()}
    reason = [known.get(text.lower()) or reason_in(text) if text else "administrative" for text in given]
    dead = alive & np.array([not why and "death" in text.lower() for why, text in zip(reason, given, strict=True)])
    if "DTHDT" in table:
        problems.add_rows("DCSREAS", table.where(dead), "death, but no date of death", "give DTHDT")
    odd = alive & ~dead & np.array([not why for why in reason])
    problems.add_rows("DCSREAS", table.where(odd), "a reason that is not understood",
                      'say in the specification what it means, as in censoring = {"Physician decision" = "other"}',
                      next((repr(text) for text, hit in zip(given, odd, strict=True) if hit), ""))  # fmt: skip
    return np.where(alive, reason, "").astype(object)
