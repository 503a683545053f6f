"""The door for ADaM ADTTE: everything is checked and converted here, once."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.trial.calendar import DAYS_PER_MONTH
from smm_bayes.trial.clock import Clock, read_clock, says_unit, to_calendar
from smm_bayes.trial.columns import (
    check_options,
    find_arm,
    find_columns,
    read_covariates,
    read_stratum,
    require_columns,
    trial_name,
)
from smm_bayes.trial.cutoff import Ends, check_cutoff, check_future
from smm_bayes.trial.door import assemble, read_causes, read_entry
from smm_bayes.trial.identity import AS_GOOD_AS_WHOLE
from smm_bayes.trial.patients import Patients
from smm_bayes.trial.reasons import check_reasons, read_reasons
from smm_bayes.trial.selection import LeftOut, select_parameter, select_rows
from smm_bayes.trial.table import Table, numbers

if TYPE_CHECKING:
    import pandas as pd

STANDARD = {
    "trial": "STUDYID",
    "patient": "USUBJID",
    "parameter": "PARAMCD",
    "label": "PARAM",
    "time": "AVAL",
    "unit": "AVALU",
    "censored": "CNSR",
    "arm": "TRT01P",
    "start": "STARTDT",
    "end": "ADT",
    "event": "EVNTDESC",
    "censoring": "CNSDTDSC",
    "stratum": "STRATUM",
    "entry": "ENTRYTM",
}
REQUIRED = {
    "trial": "the trial",
    "patient": "the patient",
    "parameter": "the endpoint",
    "time": "the time to event or censoring",
    "unit": "its unit, which PARAM does not say either",
    "censored": "0 for an event, 1 or above for censoring",
    "arm": "the planned arm",
}


def read_adtte(
    source: Table | pd.DataFrame | str | Path,
    parameter: str,
    *,
    arms: Mapping[str, str],
    causes: Mapping[str, Sequence[str]] | None = None,
    censoring: Mapping[int, str] | Mapping[str, str] | None = None,
    covariates: Sequence[str] = (),
    subgroups: Sequence[str] = (),
    mrd: Table | pd.DataFrame | str | Path | None = None,
    provenance: str = "real",
    columns: Mapping[str, str] | None = None,
    unit: str | None = None,
    first_day: int | None = None,
    flags: Mapping[str, str] | None = None,
    leave_out: Sequence[str] = (),
    data_cutoff: datetime.date | None = None,
    longest_gap: float | None = None,
    patients: int | None = None,
) -> Patients:
    """Read one parameter of an ADaM time-to-event table (ADTTE).

    Columns: STUDYID, USUBJID, PARAMCD, AVAL (time), AVALU (day, week, month or year; or PARAM says it, as in
    "PFS (Months)"), CNSR (0 = event, 1 and above = censored), TRT01P or TRTP (arm); where there are any: STARTDT (the
    date AVAL counts from: enrolment, without ENTRYTM), ADT (the date of the event or of censoring), EVNTDESC (what
    happened, or why the patient is censored), CNSDTDSC (what the date of censoring is), STRATUM or STRATA1, ENTRYTM.
    Case does not matter in the names of columns.

    With ADT the time is ADT − STARTDT in whole days, plus one where the first day counts as 1, and AVAL must agree to
    its last digit. The patient's clock stands at 0 at the start of the first day, so ``enrolled + time`` is ADT.

    The reason for censoring is what EVNTDESC says of a censored row; where it says nothing, CNSDTDSC, if that gives a
    reason. What is not known is asked for.

    ENTRYTM is for delayed entry (left truncation): the time from STARTDT to enrolment, in the unit AVALU, 0 for who was
    at risk from STARTDT on. ADaM has no standard variable for it; the name is this package's own.

    Parameters
    ----------
    source : Table, pandas.DataFrame or path
        A path to CSV, SAS transport (.xpt) or Dataset-JSON 1.1 (.json).
    parameter : str
        Value of PARAMCD, for example ``"PFS"``.
    arms : mapping of str to str
        Role (``control``, ``experimental``) to the name in TRT01P; only ``experimental`` for one arm.
    causes : mapping of str to sequence of str, optional
        Cause of event to the texts of EVNTDESC that mean it. Without it every event is of the one cause ``event``.
    censoring : mapping of int or str to str, optional
        Value of CNSR, or text of EVNTDESC or CNSDTDSC, to reason; a text comes before a code, both before the words.
    covariates : sequence of str
        Numeric columns to keep.
    subgroups : sequence of str
        Columns to keep whose texts name subgroups.
    mrd : Table, pandas.DataFrame or path, optional
        Table of MRD assessments; see :func:`smm_bayes.trial.mrd.read_mrd`.
    provenance : {"real", "reconstructed", "simulated"}
    columns : mapping of str to str, optional
        Role (a key of :data:`STANDARD`) to the column that holds it here.
    unit : str, optional
        Unit of AVAL where neither AVALU nor PARAM says it.
    first_day : {0, 1}, optional
        What AVAL counts the day of STARTDT as. Without it ADT says so; without ADT it is 1, the standard, for whole
        days, and 0 for other units.
    flags : mapping of str to str, optional
        Column to value, as in ``{"ANL01FL": "Y"}``: other rows are left out, and counted.
    leave_out : sequence of str
        Arms that are left out, and counted.
    data_cutoff : datetime.date, optional
        Date of the data cut-off. Without it the last date in the table is taken.
    longest_gap : float, optional
        Months before the data cut-off within which a patient who is still followed must have been seen; 12.
    patients : int, optional
        How many patients there must be.

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

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> table = pd.DataFrame({"STUDYID": "A", "USUBJID": list("abcd"), "PARAMCD": "PFS", "AVAL": [91, 426, 274, 609],
    ...                       "AVALU": "DAY", "CNSR": [0, 1, 0, 1], "TRT01P": ["old", "old", "new", "new"],
    ...                       "STARTDT": "2020-01-01", "EVNTDESC": ["Progression", "Study ongoing"] * 2})
    >>> patients = smm.read_adtte(table, "PFS", arms={"control": "old", "experimental": "new"},
    ...                           causes={"progression": ["Progression"]})
    >>> patients.table()[["patient", "arm", "time", "cause"]].round(1)
      patient           arm  time        cause
    0       a       control   3.0  progression
    1       b       control  14.0
    2       c  experimental   9.0  progression
    3       d  experimental  20.0
    """
    table = Table.of(source, "ADTTE table")
    problems = Problems(table.name)
    check_options(arms, provenance, problems)
    check_reasons(censoring, problems)
    table, at, left = _rows(table, parameter, columns, unit, causes, flags, leave_out, arms, problems)
    clock = read_clock(table, at, unit, first_day, problems)
    entry = read_entry(table, at["entry"], clock.unit / DAYS_PER_MONTH, clock.time, problems)
    code = _censor_codes(table, at["censored"], problems)
    cause, names, meaning = read_causes(table, code == 0, causes, problems, at["event"])
    reason = read_reasons(table, code, at, meaning, censoring, problems)
    origin, enrolled = to_calendar(clock.start, entry, clock.first_day)
    cutoff = _cutoff(table, at, clock, reason == "administrative", data_cutoff, longest_gap, problems)
    dated = cutoff is not None and origin is not None
    return assemble(
        table,
        problems,
        at,
        arms,
        mrd,
        expected=patients,
        unit_stated=unit is not None,
        trial=trial_name(table, at["trial"], problems),
        provenance=provenance,
        time=clock.time,
        event=code == 0,
        cause=cause,
        causes=names,
        censoring=reason,
        enrolled=enrolled,
        origin=origin,
        entry=entry,
        first_day=clock.first_day if enrolled is not None else 0,
        left_out=tuple(left),
        data_cutoff=(cutoff - origin.toordinal()) / DAYS_PER_MONTH if dated else None,  # type: ignore[operator, union-attr]
        cutoff_stated=data_cutoff is not None,
        stratum=read_stratum(table, at["stratum"], problems),
        covariates=read_covariates(table, covariates, subgroups, problems),
    )


def _rows(
    table: Table,
    parameter: str,
    columns: Mapping[str, str] | None,
    unit: str | None,
    causes: Mapping[str, Sequence[str]] | None,
    flags: Mapping[str, str] | None,
    leave_out: Sequence[str],
    arms: Mapping[str, str],
    problems: Problems,
) -> tuple[Table, dict[str, str], LeftOut]:
    """Find the columns and the rows that are meant; without these nothing else can be checked."""
    at = find_columns(table, STANDARD, columns, problems)
    find_arm(table, at, columns, problems)
    if at["stratum"] not in table and "STRATA1" in table:
        at["stratum"] = "STRATA1"
    needed = REQUIRED | ({"event": "what the event was"} if causes and len(causes) > 1 else {})
    if unit or says_unit(table, at):
        needed = {role: what for role, what in needed.items() if role != "unit"}
    require_columns(table, at, needed, problems)
    if at["parameter"] not in table:
        problems.raise_if_any()
    table, without = select_parameter(table, at, parameter, problems)
    if not len(table):
        problems.raise_if_any()
    table, left = select_rows(table, at, flags, leave_out, arms, problems)
    if not len(table):
        problems.add("no row is left; correct flags, or leave_out")
        problems.raise_if_any()
    return table, at, [*left, *without]


def _censor_codes(table: Table, column: str, problems: Problems) -> np.ndarray:
    code = numbers(table, column, problems, minimum=0)
    near = np.round(code)
    odd = (np.abs(code - near) > AS_GOOD_AS_WHOLE) | (code > 999)
    problems.add_rows(
        column,
        table.where(odd),
        "not a whole number below 1000",
        "write 0 for an event, 1, 2, … else",
        next((text for text, bad in zip(table.cells(column), odd, strict=True) if bad), ""),
    )
    return np.where(np.isnan(code) | odd, -1, near).astype(int)


def _cutoff(
    table: Table,
    columns: Mapping[str, str],
    clock: Clock,
    followed: np.ndarray,
    stated: datetime.date | None,
    longest_gap: float | None,
    problems: Problems,
) -> float | None:
    """Day of the data cut-off (ordinal), with what contradicts it noted; None in a table without dates."""
    ends = [] if clock.start is None else [Ends(columns["start"], clock.start)]
    if clock.end is not None:
        end = np.where(np.isnan(clock.time), np.nan, clock.end)
        column = columns["end"] if columns["end"] in table else columns["time"]
        ends.append(Ends(column, end, clock.rounding))
    if not ends:
        return None
    if stated is None:
        check_future(table, ends, problems)
    return check_cutoff(
        table, ends, followed, None if stated is None else float(stated.toordinal()), longest_gap, str(stated), problems
    )
