"""Data cuts: the same patients as they were known at an earlier calendar time."""

from __future__ import annotations

import datetime

import numpy as np

from smm_bayes.errors import DataError
from smm_bayes.trial.calendar import calendar_date, calendar_time, on_clock
from smm_bayes.trial.patients import Patients


def cut_by_date(patients: Patients, cutoff: float | datetime.date) -> Patients:
    """Give the patients as they were known at ``cutoff``.

    Patients enrolled later are left out; an event on the day of the cut is known; patients still followed are
    censored administratively at the cut; earlier censoring keeps its reason; MRD results made later are dropped.
    With delayed entry a patient's clock stands at ``entry + (cutoff - enrolled)`` at the cut.

    Parameters
    ----------
    patients : Patients
    cutoff : float or datetime.date
        Calendar time in months since ``patients.origin``, or a date.

    Raises
    ------
    DataError
        Without enrolment dates, or when nobody had been enrolled.
    """
    if patients.enrolled is None:
        raise DataError("a data cut needs the calendar time of enrolment; give column STARTDT (or 'enrolled')")
    cutoff, known = known_by(cutoff, patients.enrolled, patients.origin)
    entry = 0.0 if patients.entry is None else patients.entry[known]
    followed = on_clock(entry + cutoff - patients.enrolled[known])
    later = patients.time[known] > followed
    return patients.take(
        known,
        time=np.where(later, followed, patients.time[known]),
        event=patients.event[known] & ~later,
        cause=np.where(later, -1, patients.cause[known]),
        censoring=np.where(later, "administrative", patients.censoring[known]),
        data_cutoff=cutoff,
    )


def known_by(
    cutoff: float | datetime.date, enrolled: np.ndarray, origin: datetime.date | None
) -> tuple[float, np.ndarray]:
    """Calendar time of a cut in months since ``origin``, and who had been enrolled by then.

    Raises
    ------
    DataError
        When nobody had been, or a date has no origin to count from.
    """
    if isinstance(cutoff, datetime.date):
        if origin is None:
            raise DataError("this table has no calendar dates; give the cut in months since its origin")
        cutoff = calendar_time(cutoff, origin)
    cutoff = on_clock(float(cutoff))
    known = enrolled <= cutoff
    if not known.any():
        first = float(enrolled.min())
        when = calendar_date(first, origin).isoformat() if origin else f"{first:.1f} months"
        raise DataError(f"nobody had been enrolled at the data cut; choose a date after the first enrolment ({when})")
    return cutoff, known


def cut_by_events(patients: Patients, events: int, *causes: str) -> Patients:
    """Give the patients as they were known when event number ``events`` happened.

    Parameters
    ----------
    patients : Patients
    events : int
        How many events trigger the cut; events on the same day are all included.
    *causes : str
        Causes that count; all of them by default.

    Raises
    ------
    DataError
        When there are fewer events.
    """
    if patients.enrolled is None:
        raise DataError("a data cut needs the calendar time of enrolment; give column STARTDT (or 'enrolled')")
    counted = patients.count_only(*causes) if causes else patients
    when = np.sort((patients.enrolled + patients.follow_up)[counted.event])
    if not 1 <= events <= len(when):
        raise DataError(f"a cut at {events} events, but the patients have {len(when)}; choose a number from 1 to that")
    return cut_by_date(patients, float(when[events - 1]))
