"""MRD beside another endpoint of the same trial: overall survival, second progression, duration of response.

MRD is read once, with the endpoint that ends at progression. Other endpoints are other
:class:`~smm_bayes.trial.patients.Patients` of the same people; here the status at each visit is carried to them, as it
is for that endpoint: which patients are event-free at the visit, and whose result is missing.
The joint model takes both.

A clock that starts at response compares responders only, who were selected after randomisation; their visits come at
months of their own (:func:`landmarks_of`), and a visit before the response counts from time zero on.
"""

from __future__ import annotations

import numpy as np

from smm_bayes.errors import DataError, Problems
from smm_bayes.surrogacy.visits.schedule import MISSING, NOT_YET, MrdSchedule, MrdStatus
from smm_bayes.trial.calendar import on_clock
from smm_bayes.trial.patients import Patients


def status_for(status: MrdStatus, of: Patients, to: Patients, *, progression: str | None = "progression") -> MrdStatus:
    """Carry the status at each visit to another endpoint of the same trial.

    Results stay as they are. At risk are patients who are event-free for the other endpoint and followed beyond the
    visit. Who
    progressed by a visit, is at risk at it and has no result counts as not negative
    (:meth:`~smm_bayes.surrogacy.visits.status.MrdStatus.after_progression`).

    Parameters
    ----------
    status : MrdStatus
        Of the patients ``of``.
    of : Patients
        Of the endpoint that the MRD results were read with, from enrolment.
    to : Patients
        Of the other endpoint: some or all of them, on a clock that starts at enrolment or, with ``enrolled`` the
        calendar time of the response, there.
    progression : str or None
        The cause of ``of`` after which patients are no longer assessed; None where there is none.

    Returns
    -------
    MrdStatus
        Of the patients ``to``.

    Raises
    ------
    DataError
        Naming every problem: patients who are not in both, calendar times that are missing or differ in origin, a
        cause that is not there, or a status of other patients.
    """
    if progression is not None and progression not in of.causes:
        raise DataError(f"{progression!r} is not one of the causes {', '.join(of.causes)}; name the one after which "
                        "patients are no longer assessed, or None")  # fmt: skip
    if len(status) != len(of):
        raise DataError(f"the status is of {len(status)} patients, not {len(of)}; assign it to those given first")
    rows = _rows(of, to)
    time = on_clock(to.time + _start(of, to, rows))
    schedule, code = status.schedule, status.code[rows]
    missing = (time[:, None] >= schedule.ends) | (code == MISSING)
    code = np.where(code >= 0, code, np.where(missing, MISSING, NOT_YET))
    at_risk = time[:, None] > np.array(schedule.months)
    found = MrdStatus(schedule, code, at_risk, to.arm, to.arms, status.outside)
    if progression is None:
        return found
    progressed = of.event & (of.cause == of.causes.index(progression))
    return found.after_progression(np.where(progressed, of.time, np.inf)[rows])


def landmarks_of(schedule: MrdSchedule, of: Patients, to: Patients) -> np.ndarray:
    """Months from each patient's own time zero to the visits, shape (patient, visit); below 0 where a visit was before.

    For ``landmarks`` of :meth:`~smm_bayes.surrogacy.joint.table.JointTable.of`, where the clock starts at response.

    Parameters
    ----------
    schedule : MrdSchedule
    of, to : Patients
        As in :func:`status_for`.

    Raises
    ------
    DataError
        As :func:`status_for`.
    """
    return on_clock(np.array(schedule.months) - _start(of, to, _rows(of, to))[:, None])


def _rows(of: Patients, to: Patients) -> np.ndarray:
    """Position among the first patients of each of the others."""
    place = {name: row for row, name in enumerate(of.patient)}
    with Problems("MRD of another endpoint", DataError).collecting() as problems:
        if len(place) < len(of):
            problems.add("a patient is there twice among those with MRD; give one trial")
        unknown = [str(name) for name in to.patient if name not in place]
        if unknown:
            problems.add(f"{len(unknown)} patients are not among those with MRD, first {unknown[0]}; give one trial")
        elif of.arms != to.arms or np.any(of.arm[[place[name] for name in to.patient]] != to.arm):
            problems.add("arms differ between the endpoints; derive both from the same table")
    return np.array([place[name] for name in to.patient], dtype=int)


def _start(of: Patients, to: Patients, rows: np.ndarray) -> np.ndarray:
    """Months from enrolment to time zero of the other endpoint."""
    with Problems("MRD of another endpoint", DataError).collecting() as problems:
        if of.enrolled is None or to.enrolled is None:
            problems.add("calendar times of enrolment are needed to tell where the clocks start; give the dates")
        elif of.origin != to.origin:
            problems.add(f"calendar times count from {of.origin} and from {to.origin}; derive both from the same table")
        elif np.any(to.enrolled < of.enrolled[rows]):
            problems.add("a clock starts before enrolment; the first patients must be on the clock from enrolment")
    assert of.enrolled is not None
    assert to.enrolled is not None
    return on_clock(to.enrolled - of.enrolled[rows])
