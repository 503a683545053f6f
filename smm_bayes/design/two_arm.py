"""A randomised trial of two arms with an event-driven interim and final analysis, simulated many times."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.piecewise import PiecewiseExponential


@dataclass(frozen=True, eq=False)
class TwoArmDesign:
    """Patients of two arms, enrolled evenly and all followed to their event, and when events are counted.

    Attributes
    ----------
    grid : TimeGrid
    log_hazard : numpy.ndarray, shape (interval,)
        Of the control arm, per month.
    control, experimental : int
        Patients.
    accrual : float
        Months over which they enrol.
    interim, final : int
        Events of both arms together at which the analyses are made.

    Raises
    ------
    SpecificationError
        When it cannot be carried out.
    """

    grid: TimeGrid
    log_hazard: np.ndarray
    control: int
    experimental: int
    accrual: float
    interim: int
    final: int

    def __post_init__(self) -> None:
        """Refuse what cannot be carried out."""
        problems = Problems("two-arm design", SpecificationError)
        if np.shape(self.log_hazard) != (len(self.grid),) or not np.all(np.isfinite(self.log_hazard)):
            problems.add(f"log_hazard must be {len(self.grid)} finite numbers, one an interval")
        if min(self.control, self.experimental) < 1 or not 0 <= self.accrual < np.inf:
            problems.add(f"need a patient in each arm, and accrual in months from 0; got {self.control}, "
                         f"{self.experimental} and {self.accrual}")  # fmt: skip
        if not 0 < self.interim <= self.final <= self.control + self.experimental:
            problems.add(f"need 0 < interim <= final <= patients; got {self.interim}, {self.final} and "
                         f"{self.control + self.experimental}")  # fmt: skip
        problems.raise_if_any()

    def simulate(self, drift: float, log_ratio: float, replicates: int, *, rng: np.random.Generator) -> TwoArmTrials:
        """Simulate trials until every patient has had the event.

        Parameters
        ----------
        drift : float
            Added to the control arm's log hazards: how far this trial is from what ``log_hazard`` says.
        log_ratio : float
            Log hazard ratio of the experimental arm.
        replicates : int
        rng : numpy.random.Generator
        """
        size = self.control + self.experimental
        arm = np.repeat([0, 1], [self.control, self.experimental])
        enrolled = rng.uniform(0, self.accrual, (replicates, size))
        shift = drift + log_ratio * arm
        # a unit exponential, carried back through the cumulative hazard of each arm
        time = np.empty((replicates, size))
        for index in (0, 1):
            rows = np.tile(self.log_hazard + shift[arm == index][0], (replicates * int((arm == index).sum()), 1))
            time[:, arm == index] = PiecewiseExponential(rows, self.grid).sample(rng=rng).reshape(replicates, -1)
        return TwoArmTrials(self, arm, enrolled, time)


@dataclass(frozen=True, eq=False)
class TwoArmTrials:
    """Simulated trials.

    Attributes
    ----------
    design : TwoArmDesign
    arm : numpy.ndarray, shape (patient,)
        0 control, 1 experimental.
    enrolled, time : numpy.ndarray, shape (replicate, patient)
        Calendar month of enrolment, and months from it to the event.
    """

    design: TwoArmDesign
    arm: np.ndarray
    enrolled: np.ndarray
    time: np.ndarray

    def date(self, events: int) -> np.ndarray:
        """Calendar month of the given event, shape (replicate,)."""
        return np.partition(self.enrolled + self.time, events - 1, axis=1)[:, events - 1]

    def cut(self, date: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Follow-up months and whether the event was seen, of all patients at a date: (replicate, patient) each.

        Patients who enrol later have no follow-up.
        """
        follow_up = np.maximum(date[:, None] - self.enrolled, 0.0)
        seen = self.enrolled + self.time <= date[:, None]  # the date of an event is this very sum
        return np.where(seen, self.time, follow_up), seen

    def counts(self, date: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Events and exposure at a date, shape (replicate, arm, interval) each."""
        time, seen = self.cut(date)
        edges = np.array([0.0, *self.design.grid.cuts, np.inf])
        events, exposure = (np.empty((len(time), 2, len(edges) - 1)) for _ in range(2))
        for j, (low, high) in enumerate(pairwise(edges)):
            spent = np.clip(time, low, high) - low
            here = seen & (time > low) & (time <= high)
            for index in (0, 1):
                mine = self.arm == index
                exposure[:, index, j] = spent[:, mine].sum(axis=1)
                events[:, index, j] = here[:, mine].sum(axis=1)
        return events, exposure

    def log_rank(self, date: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-rank statistic, observed minus expected events of the experimental arm, and its variance, at a date.

        Shape (replicate,) each.
        """
        from smm_bayes.design.kernels import log_ranks

        return log_ranks(*self.cut(date), self.arm == 1)
