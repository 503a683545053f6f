"""The doors for patients: ADaM ADTTE, and a plain table. Everything is checked and converted here, once."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.trial.calendar import calendar_date, calendar_time, months_per
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
from smm_bayes.trial.mrd import death_in, read_mrd
from smm_bayes.trial.patients import REASONS, Patients
from smm_bayes.trial.table import Table, dates, is_missing, numbers, require, texts

if TYPE_CHECKING:
    import pandas as pd

YES = {"1": True, "1.0": True, "true": True, "yes": True}
NO = {"0": False, "0.0": False, "false": False, "no": False}
LONGEST = 150 * 12.0  # months; a longer time is in another unit than AVALU says


def read_adtte(
    source: Table | pd.DataFrame | str | Path,
    parameter: str,
    *,
    arms: Mapping[str, str],
    causes: Mapping[str, Sequence[str]] | None = None,
    censoring: Mapping[int, str] | None = None,
    covariates: Sequence[str] = (),
    subgroups: Sequence[str] = (),
    mrd: Table | pd.DataFrame | str | Path | None = None,
    provenance: str = "real",
) -> Patients:
    """Read one parameter of an ADaM time-to-event table (ADTTE).

    Columns: STUDYID, USUBJID, PARAMCD, AVAL (time), AVALU (day, week, month or year), CNSR (0 = event, 1 and
    above = censored), TRT01P (arm); where there are any: STARTDT (the date AVAL counts from: enrolment, without
    ENTRYTM), EVNTDESC (what happened), CNSDTDSC (why censored), STRATUM or STRATA1, ENTRYTM.

    ENTRYTM is for delayed entry (left truncation): the time from STARTDT to enrolment, in the unit AVALU, 0 for who was
    at risk from STARTDT on. ADaM has no standard variable for it; the name is this package's own.

    Parameters
    ----------
    source : Table, pandas.DataFrame or path
    parameter : str
        Value of PARAMCD, for example ``"PFS"``.
    arms : mapping of str to str
        Role (``control``, ``experimental``) to the name in TRT01P; only ``experimental`` for one arm.
    causes : mapping of str to sequence of str, optional
        Cause of event to the texts of EVNTDESC that mean it. Without it every event is of the one cause ``event``.
    censoring : mapping of int to str, optional
        Value of CNSR to reason. Without it the words of CNSDTDSC decide; a 1 without words is administrative.
    covariates : sequence of str
        Numeric columns to keep.
    subgroups : sequence of str
        Columns to keep whose texts name subgroups.
    mrd : Table, pandas.DataFrame or path, optional
        Table of MRD assessments; see :func:`smm_bayes.trial.mrd.read_mrd`.
    provenance : {"real", "reconstructed", "simulated"}

    Returns
    -------
    Patients

    Raises
    ------
    DataError
        Naming every problem with its column, rows and remedy.

    References
    ----------
    CDISC, ADaM Basic Data Structure for Time-to-Event Analyses, version 1.0.
    """
    table = Table.of(source, "ADTTE table")
    problems = Problems(table.name)
    check_options(arms, provenance, problems)
    check_reasons(censoring, problems)
    roles = [("STUDYID", "the trial"), ("USUBJID", "the patient"), ("PARAMCD", "the endpoint"),
             ("AVAL", "the time to event or censoring"), ("AVALU", "its unit"),
             ("CNSR", "0 for an event, 1 or above for censoring"), ("TRT01P", "the planned arm")]  # fmt: skip
    if causes and len(causes) > 1:
        roles.append(("EVNTDESC", "what the event was"))
    require(table, [*roles, *covariate_roles(covariates, subgroups)], problems)
    if "PARAMCD" in table:
        table = _only_parameter(table, parameter, problems)
    if "PARAMCD" not in table or not len(table):
        problems.raise_if_any()  # which rows are meant is not known, so nothing else can be checked
    trial = trial_name(table, problems)
    factor = _units(table, problems)
    time = _times(table, "AVAL", factor, problems)
    entry = _entry(table, "ENTRYTM", factor, time, problems)
    code = _censor_codes(table, problems)
    event = code == 0
    cause, cause_names = _causes(table, event, causes, problems)
    start = dates(table, "STARTDT", problems) if "STARTDT" in table else None
    origin, enrolled = _calendar(start, entry) if start else (None, None)
    stratum = next((name for name in ("STRATUM", "STRATA1") if name in table), None)
    reason = _reasons(table, code, censoring or {}, problems)
    return _assemble(
        table, problems, "USUBJID", "TRT01P", "AVAL", arms, time, event, cause, cause_names, reason, enrolled, mrd,
        trial=trial, provenance=provenance, origin=origin,
        entry=entry, stratum=np.array(texts(table, stratum, problems), dtype=object) if stratum else None,
        covariates=read_covariates(table, covariates, subgroups, problems),
    )  # fmt: skip


def read_frame(
    source: Table | pd.DataFrame | str | Path,
    *,
    arms: Mapping[str, str],
    unit: str = "month",
    causes: Sequence[str] | None = None,
    covariates: Sequence[str] = (),
    subgroups: Sequence[str] = (),
    mrd: Table | pd.DataFrame | str | Path | None = None,
    trial: str = "trial",
    provenance: str = "real",
) -> Patients:
    """Read patients from a plain table.

    Columns: ``patient``, ``arm``, ``time``, ``event`` (0 or 1); where there are any: ``cause`` (of the event),
    ``censoring`` (the reason; ``administrative`` is assumed), ``enrolled`` (calendar time of enrolment, a number),
    ``entry`` (delayed entry: the time at which the patient was enrolled, on the clock of ``time``; 0 for who was at
    risk from time 0), ``stratum``.

    Parameters
    ----------
    source : Table, pandas.DataFrame or path
    arms : mapping of str to str
        Role (``control``, ``experimental``) to the name in column ``arm``.
    unit : str
        Unit of ``time``, ``enrolled`` and ``entry``: day, week, month or year.
    causes : sequence of str, optional
        Names of the causes in their order; needed where column ``cause`` is given.
    covariates : sequence of str
        Numeric columns to keep.
    subgroups : sequence of str
        Columns to keep whose texts name subgroups.
    mrd, trial, provenance
        As in :func:`read_adtte`.

    Raises
    ------
    DataError
        Naming every problem with its column, rows and remedy.
    """
    table = Table.of(source, "patients")
    problems = Problems(table.name)
    check_options(arms, provenance, problems)
    factor = months_per(unit)
    if factor is None:
        problems.add(f"unit {unit!r} is not a unit of time; give day, week, month or year")
    roles = [("patient", "the patient"), ("arm", "the arm"), ("time", "the time to event or censoring"),
             ("event", "1 for an event, 0 for censoring")]  # fmt: skip
    roles += covariate_roles(covariates, subgroups)
    roles += [("cause", "the cause of the event")] if causes and len(causes) > 1 else []
    if not require(table, roles, problems) or factor is None:
        problems.raise_if_any()
    assert factor is not None
    time = _times(table, "time", np.full(len(table), factor), problems)
    entry = _entry(table, "entry", factor, time, problems)
    flags = [word.lower() for word in texts(table, "event", problems)]
    wrong = [bool(word) and word not in YES and word not in NO for word in flags]
    problems.add_rows("event", table.where(wrong), "neither 0 nor 1", "write 1 for an event, 0 for censoring",
                      next((repr(w) for w, bad in zip(flags, wrong, strict=True) if bad), ""))  # fmt: skip
    event = np.array([YES.get(word, False) for word in flags], dtype=bool)
    mapping = {name: [name] for name in causes} if causes else None
    cause, cause_names = _causes(table, event, mapping, problems, column="cause")
    reason = np.where(event, "", "administrative").astype(object)
    if "censoring" in table:
        given = texts(table, "censoring", problems, required=False)
        reason = np.where(event, "", [word or "administrative" for word in given]).astype(object)
        bad = np.array([bool(word) and word not in REASONS for word in reason], dtype=bool)
        problems.add_rows("censoring", table.where(bad), "not a known reason", f"write one of {', '.join(REASONS)}")
    enrolled = numbers(table, "enrolled", problems) * factor if "enrolled" in table else None
    return _assemble(
        table, problems, "patient", "arm", "time", arms, time, event, cause, cause_names, reason, enrolled, mrd,
        trial=trial, provenance=provenance, entry=entry,
        stratum=np.array(texts(table, "stratum", problems), dtype=object) if "stratum" in table else None,
        covariates=read_covariates(table, covariates, subgroups, problems),
    )  # fmt: skip


def _assemble(
    table: Table,
    problems: Problems,
    patient_column: str,
    arm_column: str,
    time_column: str,
    arms: Mapping[str, str],
    time: np.ndarray,
    event: np.ndarray,
    cause: np.ndarray,
    causes: tuple[str, ...],
    reason: np.ndarray,
    enrolled: np.ndarray | None,
    mrd: Table | pd.DataFrame | str | Path | None,
    *,
    entry: np.ndarray | None,
    **others: object,
) -> Patients:
    """Make the checks that every door shares, then the value."""
    names = patient_names(table, patient_column, problems, one_row="patient and endpoint")
    ordered, arm = arm_positions(table, arm_column, arms, problems)
    problems.add_rows(time_column, table.where(event & (time == 0)), "an event at time 0",
                      "the time to an event is positive; count the first day as 1")  # fmt: skip
    position = {name: index for index, name in enumerate(names)}
    origin = others.get("origin")
    assessments = None
    if mrd is not None and patient_column in table:
        what = zip(table.cells("EVNTDESC"), cause, strict=True)  # described, or named by its cause
        died = event & np.array([death_in(causes[c] if is_missing(text) else text) for text, c in what], dtype=bool)
        assessments = read_mrd(mrd, position, time, event, enrolled, origin, problems, died)  # type: ignore[arg-type]
    if mrd is not None and entry is not None and np.any(entry > 0):
        problems.add("MRD assessments count from enrolment, so they do not go with delayed entry yet; "
                     "give no MRD table, or count time from enrolment and give no entry")  # fmt: skip
    problems.raise_if_any()
    seen_for = time if entry is None else time - entry
    cutoff = float(np.max(enrolled + seen_for)) if enrolled is not None else None
    return Patients(
        patient=np.array(names, dtype=object), arm=arm, time=time, event=event, cause=cause, censoring=reason,
        enrolled=enrolled, arms=ordered, arm_names=tuple(arms[role] for role in ordered), causes=causes,
        mrd=assessments, data_cutoff=cutoff, entry=entry, **others,  # type: ignore[arg-type]
    )  # fmt: skip


def _only_parameter(table: Table, parameter: str, problems: Problems) -> Table:
    codes = [code.strip() for code in table.columns["PARAMCD"]]
    chosen = table.take([code == parameter for code in codes])
    if not len(chosen):
        there = ", ".join(repr(code) for code in sorted(set(codes))[:8])
        problems.add(f"column 'PARAMCD' has no row with {parameter!r}; ask for what it has: {there or 'nothing'}")
    return chosen


def _units(table: Table, problems: Problems) -> np.ndarray:
    """Months in the unit of each row; NaN where AVALU is no unit."""
    units = texts(table, "AVALU", problems)
    wrong = [bool(unit) and months_per(unit) is None for unit in units]
    problems.add_rows("AVALU", table.where(wrong), "not a unit of time", "write DAY, WEEK, MONTH or YEAR",
                      next((repr(u) for u, bad in zip(units, wrong, strict=True) if bad), ""))  # fmt: skip
    return np.array([months_per(unit) or np.nan for unit in units])


def _times(table: Table, column: str, factor: np.ndarray, problems: Problems) -> np.ndarray:
    time = numbers(table, column, problems, minimum=0) * factor
    problems.add_rows(column, table.where(time > LONGEST), f"more than {LONGEST / 12:g} years",
                      "correct the time or its unit",
                      next((text for text, long in zip(table.cells(column), time > LONGEST, strict=True) if long), ""),
                      )  # fmt: skip
    return time


def _entry(
    table: Table, column: str, factor: np.ndarray | float, time: np.ndarray, problems: Problems
) -> np.ndarray | None:
    """Months on the clock of ``time`` at which each patient was enrolled; None where there is no such column."""
    if not has_optional(table, column, "delayed entry", problems):
        return None
    entry = numbers(table, column, problems, minimum=0, required=False) * factor
    empty = [is_missing(cell) for cell in table.cells(column)]
    problems.add_rows(column, table.where(empty), "no value", "write 0 for who was at risk from time 0")
    late = (entry > 0) & (entry >= time)
    problems.add_rows(column, table.where(late), "not before the end of follow-up",
                      "correct the time or the entry, or leave out who was never under observation",
                      next((cell for cell, hit in zip(table.cells(column), late, strict=True) if hit), ""),
                      )  # fmt: skip
    return entry


def _calendar(
    start: Sequence[datetime.date | None], entry: np.ndarray | None
) -> tuple[datetime.date | None, np.ndarray | None]:
    """Date of the first enrolment and months from it to each; enrolment is ``start``, or ``entry`` months later."""
    first = min((date for date in start if date is not None), default=None)
    if first is None:
        return None, None
    late = np.zeros(len(start)) if entry is None else entry
    enrolled = late + [np.nan if date is None else calendar_time(date, first) for date in start]
    origin = calendar_date(float(np.nanmin(enrolled)), first) if np.isfinite(enrolled).any() else first
    return origin, enrolled - calendar_time(origin, first)


def _censor_codes(table: Table, problems: Problems) -> np.ndarray:
    code = numbers(table, "CNSR", problems, minimum=0)
    odd = (code % 1 > 0) | (code > 999)
    problems.add_rows("CNSR", table.where(odd), "not a whole number below 1000", "write 0 for an event, 1, 2, … else",
                      next((text for text, bad in zip(table.cells("CNSR"), odd, strict=True) if bad), ""))  # fmt: skip
    return np.where(np.isnan(code) | odd, -1, code).astype(int)


def _causes(
    table: Table,
    event: np.ndarray,
    causes: Mapping[str, Sequence[str]] | None,
    problems: Problems,
    column: str = "EVNTDESC",
) -> tuple[np.ndarray, tuple[str, ...]]:
    causes = causes or {"event": ()}
    meaning = {word.strip().lower(): index for index, words in enumerate(causes.values()) for word in words}
    if not meaning:
        return np.where(event, 0, -1), tuple(causes)
    given = texts(table, column, problems, required=False)
    cause = np.array([meaning.get(word.lower(), -1) for word in given])
    silent = event & np.array([not word for word in given])
    known = ", ".join(repr(word) for words in causes.values() for word in words)
    if len(causes) == 1:
        cause[silent] = 0  # nothing said, and there is only one thing it can be
    elif column in table:
        problems.add_rows(column, table.where(silent), "no cause for the event", f"write one of {known}")
    unknown = event & (cause < 0) & ~silent
    found = next((repr(word) for word, bad in zip(given, unknown, strict=True) if bad), "")
    problems.add_rows(column, table.where(unknown), "a cause that is not declared",
                      f"declared are {known}; correct the text or the declaration", found)  # fmt: skip
    return np.where(event, cause, -1), tuple(causes)


def _reasons(table: Table, code: np.ndarray, codes: Mapping[int, str], problems: Problems) -> np.ndarray:
    given = texts(table, "CNSDTDSC", problems, required=False)
    result: list[str] = []
    silent: list[int] = []
    unknown: list[int] = []
    found = ""
    for row, number, text in zip(table.rows, code, given, strict=True):
        reason = ""
        if number >= 1:
            assumed = "administrative" if number == 1 and not text else ""
            reason = codes.get(int(number), "") or reason_in(text) or assumed
            if not reason and text:
                unknown.append(row)
                found = found or repr(text)
            elif not reason:
                silent.append(row)
        result.append(reason)
    remedy = "say in the specification what each code means, for example censoring = {2 = \"lost\"}"
    problems.add_rows("CNSR", silent, "a code above 1 without a reason in CNSDTDSC", remedy)
    problems.add_rows("CNSDTDSC", unknown, "a reason that is not understood", remedy, found)
    return np.array(result, dtype=object)
