r"""Events that are found at visits: the brackets of time they leave, and the likelihood in NumPy.

One cause of event, such as progression, is found at an assessment. Found at :math:`R` and last known absent at
:math:`L`, it happened in :math:`(L, R]`. With hazards :math:`\lambda_{acj}` constant in the intervals of a grid,
:math:`\Lambda_{aj} = \sum_c \lambda_{acj}`, the grid cutting :math:`(L, R]` into pieces of width :math:`\delta_j` that
start at :math:`a_j`, and k the cause that visits find, the patient's likelihood is :math:`S_a(L) P` with

.. math:: P = \sum_j \frac{\lambda_{akj}}{\Lambda_{aj}} \, e^{-H_a(L \to a_j)} (1 - e^{-\Lambda_{aj} \delta_j})
            = \frac{F_{ak}(R) - F_{ak}(L)}{S_a(L)},

F being the cumulative incidence: the patient leaves the event-free state by cause k in :math:`(L, R]`. With a single
cause it is :math:`S(L) - S(R)`. Times are in months, hazards per month.

What it leaves out
------------------
Death between a progression and the visit that would have found it. Who died without a known progression counts as dead
at the exact date and not as progressed before; given progression in :math:`(L, R]` the probability of the other story
is at most the hazard of death after progression times the gap between visits (0.005 a month and visits every 6 months:
below 0.03, and 0.015 on average). Patients without the event are known to be without it until their last clear visit:
a table that censors them at a later contact credits them with the time between, and one that counts deaths after the
visit at which others are censored counts too many. The likelihood is exact where all follow-up ends at a visit.

References
----------
Finkelstein DM. Biometrics 1986;42:845-54 (proportional hazards of interval-censored times).
Panageas KS et al. Journal of the National Cancer Institute 2007;99:428-32, doi:10.1093/jnci/djk091 (what taking the
dates of visits as exact does). Leffondré K et al. International Journal of Epidemiology 2013;42:1177-86 (death
between visits).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import DataError, Problems, SpecificationError
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.likelihood import log_likelihood
from smm_bayes.survival.schedule import VisitSchedule
from smm_bayes.trial.calendar import on_clock

if TYPE_CHECKING:
    from smm_bayes.trial.patients import Patients

TINY, HUGE = -40.0, 700.0  # log of Λδ below which 1 − exp(−Λδ) is Λδ to the last digit, and above which exp overflows


@dataclass(frozen=True, eq=False)
class VisitTable:
    """Sufficient statistics of patients of whom one cause of event is found at visits.

    Made by :meth:`of`. Patients of one arm whose brackets the grid cuts into the same pieces have the same likelihood:
    they are one row with a count.

    Attributes
    ----------
    exact : EventTable
        Events of the other causes, and exposure: of a bracketed patient until last known without the event.
    cause : str
        What the visits find.
    arm : numpy.ndarray of int, shape (bracket,)
        Position in ``exact.arms``.
    widths : numpy.ndarray, shape (bracket, interval)
        Months of the bracket in each interval.
    count : numpy.ndarray, shape (bracket,)
        Patients.
    """

    exact: EventTable
    cause: str
    arm: np.ndarray
    widths: np.ndarray
    count: np.ndarray

    def __post_init__(self) -> None:
        """Refuse brackets that no patients could give."""
        size, table = len(self.arm), self.exact
        with Problems("VisitTable", SpecificationError).collecting() as problems:
            if self.cause not in table.causes:
                problems.add(f"cause must be one of {', '.join(table.causes)}; got {self.cause!r}")
            if self.widths.shape != (size, len(table.grid)) or self.count.shape != (size,):
                problems.add(f"widths must have shape (bracket, interval) = ({size}, {len(table.grid)}) and count "
                             f"({size},); got {self.widths.shape} and {self.count.shape}")  # fmt: skip
            elif not np.all((self.widths >= 0) & np.isfinite(self.widths)) or np.any(self.widths.sum(axis=1) <= 0):
                problems.add("widths must be finite, not negative, and above 0 somewhere in every bracket")
            if np.any(self.count < 0) or np.any((self.arm < 0) | (self.arm >= len(table.arms))):
                problems.add("counts must not be negative, and arms be positions in the table's arms")
        for column in (self.arm, self.widths, self.count):
            column.setflags(write=False)

    @classmethod
    def of(
        cls,
        patients: Patients,
        grid: TimeGrid,
        *,
        cause: str,
        schedule: VisitSchedule | Mapping[str, VisitSchedule] | None = None,
        last_clear: np.ndarray | None = None,
    ) -> VisitTable:
        """Tabulate patients; the time of an event of ``cause`` is that of the visit that found it.

        Parameters
        ----------
        patients : Patients
        grid : TimeGrid
        cause : str
            Found at visits; the other causes are exact, censoring is as the table has it.
        schedule : VisitSchedule or mapping of str to VisitSchedule
            Planned visits from enrolment, of all or by arm; the event was last absent at the visit before, or at
            enrolment. This supposes that no visit was missed: where some were, give ``last_clear``.
        last_clear : numpy.ndarray, shape (patient,)
            Instead: each patient's last assessment without the event, on the clock of ``time``. It is read only of
            patients with the event. Under delayed entry what is before ``entry`` counts as at ``entry``.

        Raises
        ------
        SpecificationError
            When the cause is unknown, or not exactly one of ``schedule`` and ``last_clear`` is given, or an arm has
            no schedule.
        DataError
            When an event was found at no planned visit though the schedule has no window, or ``last_clear`` is missing,
            negative, or not before the event was found.
        """
        known, found = until_clear(patients, cause, schedule=schedule, last_clear=last_clear)
        arm, widths = patients.arm[found], on_clock(grid.exposure(patients.time[found], known.time[found]))
        _, first, count = np.unique(np.c_[arm, widths], axis=0, return_index=True, return_counts=True)
        return cls(grid.tabulate(known), cause, arm[first], widths[first], count.astype(float))

    @property
    def rough(self) -> EventTable:
        """Events and exposure as if those of each bracket had happened evenly over it; an approximation, for speed.

        In a bracket of width W a piece of width δ, starting o after the bracket, holds δ/W of an event and the expected
        exposure δ·(W − o − δ/2)/W.
        """
        events, exposure = self.exact.events.copy(), self.exact.exposure.copy()
        whole = self.widths.sum(axis=1, keepdims=True)
        after = whole - np.cumsum(self.widths, axis=1) + self.widths / 2
        counted = self.count[:, None] * self.widths / whole
        np.add.at(events[:, self.exact.causes.index(self.cause)], self.arm, counted)
        np.add.at(exposure, self.arm, counted * after)
        return EventTable(events, exposure, self.exact.grid, self.exact.arms, self.exact.causes)

    def __repr__(self) -> str:
        patients = int(self.count.sum())
        middle = ""
        if patients:
            widths = np.repeat(self.widths.sum(axis=1), self.count.astype(int))
            middle = f", median width {np.median(widths):.3g} months"
        return f"VisitTable: {self.cause} in {len(self.arm)} brackets of {patients} patients{middle}; {self.exact!r}"


def until_clear(
    patients: Patients, cause: str, *, schedule: VisitSchedule | Mapping[str, VisitSchedule] | None = None,
    last_clear: np.ndarray | None = None,
) -> tuple[Patients, np.ndarray]:  # fmt: skip
    """Follow everybody until last known without the event of a cause, and say in whom visits found it.

    Arguments and refusals are those of :meth:`VisitTable.of`.
    """
    if cause not in patients.causes:
        raise SpecificationError(f"cause must be one of {', '.join(patients.causes)}; got {cause!r}")
    if (schedule is None) == (last_clear is None):
        raise SpecificationError("give either schedule, the planned visits, or last_clear, each patient's last "
                                 "assessment without the event")  # fmt: skip
    found = patients.event & (patients.cause == patients.causes.index(cause))
    clear = _planned(patients, found, schedule) if schedule is not None else _checked(patients, found, last_clear)
    if patients.entry is not None:
        clear = np.maximum(clear, patients.entry)
    known = patients.take(
        np.ones(len(patients), bool), time=np.where(found, on_clock(clear), patients.time),
        event=patients.event & ~found, cause=np.where(found, -1, patients.cause),
        censoring=np.where(found, "other", patients.censoring), mrd=None,
    )  # fmt: skip
    return known, found


def _planned(
    patients: Patients, found: np.ndarray, schedule: VisitSchedule | Mapping[str, VisitSchedule]
) -> np.ndarray:
    """Planned visit before each time, on the clock of the times."""
    given = schedule if isinstance(schedule, Mapping) else dict.fromkeys(patients.arms, schedule)
    if set(given) != set(patients.arms):
        raise SpecificationError(f"give a schedule for each of the arms {', '.join(patients.arms)}; "
                                 f"got {', '.join(given) or 'none'}")  # fmt: skip
    since, clear = patients.follow_up, np.zeros(len(patients))
    with Problems("visits").collecting() as problems:
        for index, arm in enumerate(patients.arms):
            mine = patients.arm == index
            clear[mine] = given[arm].before(since[mine])
            astray = np.flatnonzero(mine & found & ~given[arm].holds(since))
            if len(astray) and not given[arm].window:
                problems.add(f"arm '{arm}', {_named(patients, astray)}: found at no planned visit (at "
                             f"{since[astray[0]]:g} months from enrolment); give the schedule a window, or last_clear")
    return clear if patients.entry is None else clear + patients.entry


def _checked(patients: Patients, found: np.ndarray, last_clear: np.ndarray | None) -> np.ndarray:
    """Check the last assessments without the event."""
    clear = np.asarray(last_clear, dtype=float)
    if clear.shape != (len(patients),):
        raise DataError(f"last_clear must be one number a patient, {len(patients)}; got shape {clear.shape}")
    with Problems("last_clear").collecting() as problems:
        rules = {
            "must be known of everybody with the event; give 0 for none": ~np.isfinite(clear),
            "must not be negative; count from the patients' time 0": clear < 0,
            "must be before the event was found; look at the dates": clear >= patients.time,
        }
        for rule, wrong in rules.items():
            rows = np.flatnonzero(found & wrong)
            if len(rows):
                problems.add(f"{_named(patients, rows)} (found {clear[rows[0]]:g}): it {rule}")
    return clear


def _named(patients: Patients, rows: np.ndarray, most: int = 5) -> str:
    """Say which patients."""
    shown = ", ".join(str(name) for name in patients.patient[rows[:most]])
    return f"patient {shown}" + (f" and {len(rows) - most} more" if len(rows) > most else "")


def bracket_log_probability(log_hazard: np.ndarray, table: VisitTable) -> np.ndarray:
    """Log of P of each bracket, shape (..., bracket), from log hazards (..., arm, cause, interval).

    Summed piece by piece on the log scale, so that nothing underflows or cancels.
    """
    cause = table.exact.causes.index(table.cause)
    total = np.logaddexp.reduce(log_hazard, axis=-2)
    found = np.full((*log_hazard.shape[:-3], len(table.arm)), -np.inf)
    before = np.zeros(found.shape)
    with np.errstate(divide="ignore"):
        log_widths = np.log(table.widths)
    for j in np.flatnonzero(table.widths.any(axis=0)):
        log_risk = total[..., table.arm, j] + log_widths[:, j]  # of Λδ
        risk = np.exp(np.minimum(log_risk, HUGE))
        leave = np.where(log_risk < TINY, log_risk, np.log(-np.expm1(-np.maximum(risk, np.exp(TINY)))))
        share = log_hazard[..., table.arm, cause, j] - total[..., table.arm, j]
        found = np.logaddexp(found, share - before + leave)
        before = before + risk
    return found


def visits_log_likelihood(log_hazard: np.ndarray, table: VisitTable) -> np.ndarray:
    """Log likelihood of hazards of shape (..., arm, cause, interval); one number per leading index."""
    brackets = bracket_log_probability(log_hazard, table) @ table.count
    return log_likelihood(log_hazard, table.exact) + brackets
