"""What the joint model counts: cells of patients whose MRD status is known, and rows of those whose is not."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.surrogacy.joint.shape import STATES, JointShape
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.trial.calendar import on_clock

if TYPE_CHECKING:
    from smm_bayes.surrogacy.visits.schedule import MrdStatus
    from smm_bayes.trial.patients import Patients

IMPOSSIBLE = -1e6  # log probability of a result that a status cannot give


@dataclass(frozen=True)
class AssayError:
    """How often a result contradicts the status, as fixed values of a sensitivity analysis; never estimated.

    Parameters
    ----------
    missed : float
        Probability of a negative result where there is residual disease.
    false_positive : float
        Probability of a positive result where there is none.
    """

    missed: float = 0.0
    false_positive: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no assay has."""
        if not (0 <= self.missed < 0.5 and 0 <= self.false_positive < 0.5):
            raise SpecificationError(
                f"assay error: missed and false_positive must be from 0 up to 0.5; got {self.missed} and "
                f"{self.false_positive}"
            )

    @property
    def log_probability(self) -> np.ndarray:
        """Log probability of a result given the status, shape (result, state)."""
        probability = np.array([[1 - self.missed, self.false_positive], [self.missed, 1 - self.false_positive]])
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(probability), IMPOSSIBLE)


@dataclass(frozen=True, eq=False)
class JointRows:
    """What follows the first visit, of patients with a status that is not known, one a row.

    Attributes
    ----------
    arm : numpy.ndarray of int, shape (row,)
    exposure : numpy.ndarray, shape (row, visit, cell)
        Months after each visit and before the next.
    event : numpy.ndarray of int, shape (row, 3)
        Visit, cause and cell of the event; -1 where there is none.
    emission : numpy.ndarray, shape (row, visit, state)
        Log probability of the result given the status; 0 where there is no result.
    assessed, missing : numpy.ndarray of bool, shape (row, visit)
        At risk and with a result, or followed to the end of the visit's window without one.
    count : numpy.ndarray, shape (row,)
        1, or 0 of spare rows.
    """

    arm: np.ndarray
    exposure: np.ndarray
    event: np.ndarray
    emission: np.ndarray
    assessed: np.ndarray
    missing: np.ndarray
    count: np.ndarray

    def __len__(self) -> int:
        return len(self.arm)

    def padded(self, size: int) -> JointRows:
        """Give the same with spare rows, so many in all.

        Raises
        ------
        SpecificationError
            When there are more rows than that.
        """
        if size < len(self):
            raise SpecificationError(f"{len(self)} patients have a status that is not known, and there is room for "
                                     f"{size} rows; ask for more")  # fmt: skip
        filled = {}
        for field in fields(self):
            part = getattr(self, field.name)
            filled[field.name] = np.full((size, *part.shape[1:]), -1 if field.name == "event" else 0, part.dtype)
            filled[field.name][: len(self)] = part
        return JointRows(**filled)


@dataclass(frozen=True, eq=False)
class JointTable:
    """Sufficient statistics of the joint model.

    Patients whose status is known at every visit that they were at risk for are cells. Of the others the months before
    the first visit are, where no status counts yet; what follows is a row of its own.

    Attributes
    ----------
    shape : JointShape
    events : numpy.ndarray, shape (arm, cause, cell, state)
        State 1 is being negative at the latest visit.
    exposure : numpy.ndarray, shape (arm, cell, state)
        Patient-months.
    transitions : numpy.ndarray, shape (arm, visit, state before, state)
        Patients by status at a visit; before the first nobody is negative.
    rows : JointRows

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> mrd = pd.DataFrame({"USUBJID": list("bcd"), "MRDTM": 6.0, "MRDTMU": "MONTH", "MRDSENS": 1e-5,
    ...                     "MRDRES": ["positive", "positive", "negative"]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"}, mrd=mrd)
    >>> grid, schedule = smm.TimeGrid((12,)), smm.MrdSchedule((6,), before=1, after=1)
    >>> table = smm.JointTable.of(patients, schedule.assign(patients), grid)
    >>> table.events.sum(axis=(0, 1, 2)).tolist()  # by status at the latest visit: not negative, negative
    [2.0, 0.0]
    """

    shape: JointShape
    events: np.ndarray
    exposure: np.ndarray
    transitions: np.ndarray
    rows: JointRows

    @classmethod
    def of(
        cls, patients: Patients, status: MrdStatus, grid: TimeGrid, *, rows: int | None = None,
        assay: AssayError | None = None, landmarks: np.ndarray | None = None, singly: bool = False,
    ) -> JointTable:  # fmt: skip
        """Tabulate patients.

        Parameters
        ----------
        patients : Patients
        status : MrdStatus
            Of the same patients at the scheduled visits.
        grid : TimeGrid
            Intervals of the hazards.
        rows : int, optional
            Rows to have room for, so that refits keep the shape; as many as are needed by default.
        assay : AssayError, optional
            With it every patient who was at risk at a visit is a row, because no status is known.
        landmarks : numpy.ndarray, shape (patient, visit), optional
            Months from each patient's own time zero to the visits, where that is not enrolment, as of a duration of
            response; before 0 where the visit was earlier. The scheduled months by default. Such a table goes with
            hazards of patients who are not negative and an effect without half-life.
        singly : bool
            Make every patient a row; the likelihood is the same.

        Raises
        ------
        SpecificationError
            When patients and status do not match, or there are more rows than asked for.
        """
        months = status.schedule.months
        _check(patients, status, landmarks)
        shape = JointShape.of(grid, months, patients.causes, patients.arms)
        if landmarks is not None:
            shape = JointShape(grid, grid, months, patients.arms, patients.causes, own_visits=True)
        at = on_clock(np.asarray(months if landmarks is None else landmarks, dtype=float))
        at = np.broadcast_to(at, status.code.shape)
        reached = patients.time[:, None] > at
        spent = _spent(patients, at, shape.cells)
        known = np.where(reached, status.code >= 0, True).all(axis=1)
        if assay is not None or singly:
            known &= ~reached.any(axis=1)
        state = np.column_stack([np.zeros(len(patients), int), np.where(known[:, None], status.code, 0)])
        counted = _count(patients, shape, reached.sum(axis=1), spent, known, state)
        single = np.flatnonzero(~known)
        found = _rows(patients, status, single, reached, spent, shape.cells, assay)
        return cls(shape, *counted, found if rows is None else found.padded(rows))

    def __repr__(self) -> str:
        months = ", ".join(f"{month:.3g}" for month in self.shape.months)
        events = ", ".join(f"{cause} {self._events(c)}" for c, cause in enumerate(self.shape.causes))
        return (f"JointTable: {len(self.shape.months)} visits at {months} months; {int(self.transitions[:, 0].sum())} "
                f"patients at risk with every status known, {int(self.rows.count.sum())} without; "
                f"events {events}")  # fmt: skip

    def _events(self, cause: int) -> int:
        return int(self.events[:, cause].sum() + (self.rows.event[:, 1] == cause).sum())


def _check(patients: Patients, status: MrdStatus, landmarks: np.ndarray | None) -> None:
    problems = Problems("joint table", SpecificationError)
    shape = (len(patients), len(status.schedule.months))
    if status.code.shape != shape:
        problems.add(f"the status has shape {status.code.shape}; these patients and visits need {shape}")
    if landmarks is not None and np.shape(landmarks) != shape:
        problems.add(f"landmarks must have shape (patient, visit) {shape}; got {np.shape(landmarks)}")
    elif landmarks is not None and not (np.all(np.isfinite(landmarks)) and np.all(np.diff(landmarks, axis=1) > 0)):
        problems.add("landmarks must be finite and increase from visit to visit; correct them")
    if patients.delayed.any():
        problems.add("patients have delayed entry; MRD is counted from enrolment, so give times from enrolment")
    problems.raise_if_any()


def _spent(patients: Patients, at: np.ndarray, cells: TimeGrid) -> np.ndarray:
    """Months of every patient between visits by cell, shape (patient, period, cell); period 0 is before the first."""
    size = len(patients)
    edges = np.column_stack([np.zeros(size), np.maximum(at, 0.0), np.full(size, np.inf)])
    edges = np.minimum(edges, patients.time[:, None])
    return np.stack([cells.exposure(edges[:, k + 1], edges[:, k]) for k in range(edges.shape[1] - 1)], axis=1)


def _count(
    patients: Patients, shape: JointShape, last: np.ndarray, spent: np.ndarray, known: np.ndarray, state: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Events, exposure and transitions of the cells; ``last`` is the period in which a patient's time ends."""
    arms, causes, size, states = shape.dims
    events, exposure = np.zeros((arms, causes, size, states)), np.zeros((arms, size, states))
    transitions = np.zeros(shape.steps)
    place = shape.cells.index(patients.time)
    for period in range(len(shape.months) + 1):
        rows = np.flatnonzero((known | (period == 0)) & (last >= period))
        arm, now = patients.arm[rows], state[rows, period]
        cell = np.arange(size)
        np.add.at(exposure, (arm[:, None], cell, now[:, None]), spent[rows, period])
        if period:
            np.add.at(transitions, (arm, np.full(len(rows), period - 1), state[rows, period - 1], now), 1.0)
        hit = patients.event[rows] & (last[rows] == period)
        np.add.at(events, (arm[hit], patients.cause[rows][hit], place[rows][hit], now[hit]), 1.0)
    return events, exposure, transitions


def _rows(
    patients: Patients, status: MrdStatus, single: np.ndarray, reached: np.ndarray, spent: np.ndarray, cells: TimeGrid,
    assay: AssayError | None,
) -> JointRows:  # fmt: skip
    """What follows the first visit, of the patients ``single``."""
    code = np.where(reached, status.code, -2)[single]
    emission = np.zeros((*code.shape, STATES))
    hit = code >= 0
    emission[hit] = (assay or AssayError()).log_probability[code[hit]]
    last = reached.sum(axis=1)[single] - 1
    event = np.column_stack([last, patients.cause[single], cells.index(patients.time[single])])
    event[~patients.event[single]] = -1
    return JointRows(patients.arm[single], spent[single, 1:], event, emission, hit, code == -1, np.ones(len(single)))
