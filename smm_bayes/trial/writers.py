"""Writing patients as the tables that the readers read: ADaM ADTTE, MRD assessments beside it, and courses."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from smm_bayes.errors import DataError
from smm_bayes.files import write_csv
from smm_bayes.trial.calendar import DAYS_PER_MONTH, calendar_date, months_per
from smm_bayes.trial.courses import Courses
from smm_bayes.trial.courses_table import COLUMNS as DATES
from smm_bayes.trial.patients import Patients

# values of CNSR and words of CNSDTDSC; no word means "other", so reading it back takes censoring = {5: "other"}
CENSORED = {
    "administrative": ("1", "Ongoing at data cut-off"),
    "lost": ("2", "Lost to follow-up"),
    "withdrawn": ("3", "Withdrew consent"),
    "new_therapy": ("4", "Started new therapy"),
    "other": ("5", "Other reason"),
}
COLUMNS = ("STUDYID", "USUBJID", "PARAMCD", "AVAL", "AVALU", "CNSR", "STARTDT", "ADT", "EVNTDESC", "CNSDTDSC", "TRT01P")


def write_adtte(
    patients: Patients,
    path: str | Path,
    parameter: str = "PFS",
    *,
    unit: str = "month",
    causes: Mapping[str, str] | None = None,
) -> None:
    """Write patients as an ADaM time-to-event table that :func:`smm_bayes.trial.readers.read_adtte` reads back.

    ADT is written where every time ends on a day. Times come back exactly from months or with ADT, and to rounding from
    another unit; the origin comes back as the first enrolment and the data cut-off, unless it is stated again, as the
    last day anybody was followed. Without ADT, ``first_day`` is to be stated again where it is 1.
    MRD is written by :func:`write_mrd`.

    Parameters
    ----------
    patients : Patients
    path : str or Path
        Written under a temporary name in the same folder, then moved.
    parameter : str
        PARAMCD.
    unit : str
        AVALU: day, week, month or year.
    causes : mapping of str to str, optional
        Cause to its text in EVNTDESC; the cause's own name where not given.

    Raises
    ------
    DataError
        When the table could not say what the patients say: covariates, time that starts on no calendar day, or
        delayed entry on the day of the data cut.

    References
    ----------
    CDISC, ADaM Basic Data Structure for Time-to-Event Analyses, version 1.0.
    """
    if patients.covariates:
        raise DataError(f"an ADTTE table has no column for covariates ({', '.join(patients.covariates)}); "
                        "write them in a table of their own")  # fmt: skip
    entry = np.zeros(len(patients)) if patients.entry is None else patients.entry
    if np.any(patients.delayed & (entry == patients.time)):
        raise DataError("some patients came under observation on the day of the data cut, and have no time at risk; "
                        "leave them out")  # fmt: skip
    entrytm = _in_unit(entry, unit)
    start, end = _start_dates(patients), _end_dates(patients)
    without = {"STARTDT" if patients.enrolled is None else "", "ADT" if end is None else ""}
    columns = [name for name in COLUMNS if name not in without]
    aval = _in_unit(patients.time, unit)
    rows = []
    for i, event in enumerate(patients.event):
        code, why = ("0", "") if event else CENSORED[patients.censoring[i]]
        cause = patients.causes[patients.cause[i]] if event else ""
        rows.append({
            "STUDYID": patients.trial, "USUBJID": patients.patient[i], "PARAMCD": parameter, "AVAL": aval[i],
            "AVALU": unit.upper(), "CNSR": code, "STARTDT": start[i],
            "ADT": end[i] if end else "", "EVNTDESC": (causes or {}).get(cause, cause),
            "CNSDTDSC": why, "TRT01P": patients.arm_names[patients.arm[i]],
        })  # fmt: skip
        if patients.stratum is not None:
            rows[-1]["STRATUM"] = patients.stratum[i]
        if patients.entry is not None:
            rows[-1]["ENTRYTM"] = entrytm[i]
    more = {"STRATUM": patients.stratum, "ENTRYTM": patients.entry}
    write_csv(path, columns + [name for name, values in more.items() if values is not None], rows)


def write_mrd(patients: Patients, path: str | Path, *, unit: str = "month") -> None:
    """Write the MRD assessments as a table that :func:`smm_bayes.trial.mrd.read_mrd` reads back.

    An assessment without valid result is written as ``NOT EVALUABLE``, whatever the reason was.

    Parameters
    ----------
    patients : Patients
    path : str or Path
        Written under a temporary name in the same folder, then moved.
    unit : str
        MRDTMU: day, week, month or year.

    Raises
    ------
    DataError
        When there is no assessment.
    """
    mrd = patients.mrd
    if mrd is None or not len(mrd):
        raise DataError(f"the patients of {patients.trial} have no MRD assessment; write their ADTTE table only")
    time = _in_unit(mrd.time, unit)
    result = np.where(mrd.valid, np.where(mrd.negative, "NEGATIVE", "POSITIVE"), "NOT EVALUABLE")
    rows = [{"USUBJID": patients.patient[mrd.row[i]], "MRDTM": time[i], "MRDTMU": unit.upper(), "MRDRES": result[i],
             "MRDSENS": "" if np.isnan(mrd.sensitivity[i]) else f"{mrd.sensitivity[i]!s}"}
            for i in range(len(mrd))]  # fmt: skip
    columns = ["USUBJID", "MRDTM", "MRDTMU", "MRDRES", "MRDSENS"]
    if mrd.assay is not None:
        columns.append("MRDASSAY")
        rows = [{**one, "MRDASSAY": assay} for one, assay in zip(rows, mrd.assay, strict=True)]
    write_csv(path, columns, rows)


def write_courses(courses: Courses, path: str | Path) -> None:
    """Write courses as the table of dates that :func:`smm_bayes.trial.courses_table.read_courses` reads back.

    The origin comes back as the first enrolment and the data cut-off as the last day anybody was known alive or died.
    Reason ``other`` has no word of its own: reading it back takes ``censoring={"Other reason": "other"}``.

    Parameters
    ----------
    courses : Courses
    path : str or Path
        Written under a temporary name in the same folder, then moved.

    Raises
    ------
    DataError
        When the courses have no date of origin, or anything happened between days.
    """
    if courses.origin is None:
        raise DataError("the courses are in months without a date of origin; a table of courses needs dates")
    columns: dict[str, Sequence[object]] = {
        "STUDYID": [courses.trial] * len(courses), "USUBJID": courses.patient.tolist(),
        "TRT01P": [courses.arm_names[arm] for arm in courses.arm],
    }  # fmt: skip
    columns |= {DATES[name][0]: _as_dates(when, courses.origin) for name, when in courses.dates().items()}
    ended = {**{reason: words for reason, (_, words) in CENSORED.items()}, "administrative": "", "": ""}
    columns["DCSREAS"] = [ended[reason] for reason in courses.censoring]
    if courses.stratum is not None:
        columns["STRATUM"] = courses.stratum.tolist()
    columns |= {name: values.tolist() for name, values in courses.covariates.items()}
    write_csv(path, list(columns), ({name: str(values[row]) for name, values in columns.items()}
                                 for row in range(len(courses))))  # fmt: skip


def _start_dates(patients: Patients) -> list[str]:
    """Dates the times count from."""
    if patients.enrolled is None:
        return [""] * len(patients)
    if patients.origin is None:
        raise DataError("enrolment is in months without a date of origin; an ADTTE table needs dates (STARTDT)")
    start = patients.enrolled if patients.entry is None else patients.enrolled - patients.entry
    return _as_dates(start + patients.first_day / DAYS_PER_MONTH, patients.origin)


def _end_dates(patients: Patients) -> list[str] | None:
    """Dates of events and of censoring; None without dates, or where some times end between days."""
    if patients.enrolled is None or patients.origin is None:
        return None
    days = (patients.enrolled + patients.follow_up) * DAYS_PER_MONTH
    if np.any(np.abs(days - np.round(days)) > 1e-6):
        return None
    return _as_dates(patients.enrolled + patients.follow_up, patients.origin)


def _as_dates(time: np.ndarray, origin: datetime.date) -> list[str]:
    """Calendar times as dates; empty where there is none."""
    days = time * DAYS_PER_MONTH
    if np.any(np.abs(days - np.round(days)) > 1e-6):
        raise DataError("some patients' times are between days; a table of dates has whole days only")
    return ["" if np.isnan(when) else calendar_date(when, origin).isoformat() for when in time]


def _in_unit(months: np.ndarray, unit: str) -> list[str]:
    """Times as text in ``unit``, without the last digits' noise where they are whole numbers of it."""
    factor = months_per(unit)
    if factor is None:
        raise DataError(f"unit {unit!r} is not a unit of time; give day, week, month or year")
    values = months / factor
    whole = np.round(values)
    near = np.abs(values - whole) < 1e-9 * (factor != 1.0)  # months are written to the last digit
    return [str(int(w)) if n or v == w else repr(float(v)) for v, w, n in zip(values, whole, near, strict=True)]
