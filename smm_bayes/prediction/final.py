"""When the final analysis happens, who is still to be enrolled, and what the final data come down to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.trial.calendar import on_clock

if TYPE_CHECKING:
    from smm_bayes.survival.grid import TimeGrid
    from smm_bayes.trial.patients import Patients

MOST_PLANNED = 100_000  # patients of one trial; each is drawn in every replicate


@dataclass(frozen=True)
class FinalAnalysis:
    """When the final analysis happens.

    Parameters
    ----------
    at : {"events", "date", "follow_up", "primary"}
        When a number of events is reached, on a date, when the patient enrolled last has been followed long enough, or
        when the primary endpoint's final analysis is, whose dates are given to what completes the trial.
    events : int, optional
        Counted events, for ``at="events"``.
    date : float, optional
        Calendar time in months since the origin, for ``at="date"``.
    follow_up : float, optional
        Months, for ``at="follow_up"``.
    truncate : bool
        For ``at="follow_up"``: whether everyone's follow-up ends after ``follow_up`` months, or goes on to the
        date of the analysis.
    cap : float
        Calendar time at which the analysis happens at the latest. It cannot happen before the data at hand: a trigger
        that was reached earlier counts as reached at the data cut-off.
    causes : tuple of str, optional
        Causes that count as the event; the others censor. All by default.
    on, cap_on : str
        The date and the cap in words, for printing.
    """

    at: Literal["events", "date", "follow_up", "primary"]
    events: int | None = None
    date: float | None = None
    follow_up: float | None = None
    truncate: bool = True
    cap: float = math.inf
    causes: tuple[str, ...] | None = None
    on: str = ""
    cap_on: str = ""

    def __post_init__(self) -> None:
        """Refuse a final analysis without its trigger."""
        if self.at not in ("events", "date", "follow_up", "primary"):
            raise SpecificationError(f"final.at must be 'events', 'date', 'follow_up' or 'primary'; got {self.at!r}")
        trigger = 1 if self.at == "primary" else getattr(self, self.at)
        if trigger is None or not (trigger > 0 or (self.at == "date" and math.isfinite(trigger))):
            raise SpecificationError(f"a final analysis at {self.at} needs {self.at} above 0; got {trigger}")
        for name in ("date", "follow_up", "cap"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, on_clock(float(getattr(self, name))))

    @property
    def kind(self) -> int:
        """Number of the trigger, as the kernels know it."""
        return {"events": 0, "date": 1, "follow_up": 2, "primary": 1}[self.at]

    @property
    def limit(self) -> float:
        """Months after which everyone's follow-up ends."""
        return float(self.follow_up or math.inf) if self.at == "follow_up" and self.truncate else math.inf

    def counted(self, causes: tuple[str, ...]) -> np.ndarray:
        """Which of ``causes`` count as the event."""
        unknown = set(self.causes or ()) - set(causes)
        if unknown:
            raise SpecificationError(f"final.causes names {sorted(unknown)}; the patients' causes are {list(causes)}")
        return np.array([self.causes is None or cause in self.causes for cause in causes])

    def __str__(self) -> str:
        what = "" if self.causes is None else f" ({' or '.join(self.causes)})"
        words = {
            "events": f"at {self.events} events{what}",
            "date": f"on {self.on}" if self.on else f"at {self.date or 0:.1f} months since the first enrolment",
            "primary": "with that of the primary endpoint",
            "follow_up": f"when everyone has {self.follow_up or 0:g} months of follow-up",
        }
        latest = f"on {self.cap_on}" if self.cap_on else f"at {self.cap:.1f} months"
        cap = f", {latest} at the latest" if math.isfinite(self.cap) else ""
        return words[self.at] + cap


@dataclass(frozen=True)
class Enrolment:
    """Patients still to be enrolled, and the accrual process they arrive by.

    The rate has a Gamma prior worth ``prior_months`` of accrual at ``prior_rate`` patients a month; the data are the
    arrivals after the first, between the first enrolment and the data cut. Arrivals are a Poisson process.

    Parameters
    ----------
    planned : mapping of str to int
        Patients in all by arm, at most 100,000 together; empty when enrolment is closed.
    prior_rate, prior_months : float
    pace : float
        Factor on the rate at which patients to come arrive.

    Raises
    ------
    SpecificationError
        When a number is negative or more patients are planned than any trial has.
    """

    planned: Mapping[str, int] = field(default_factory=dict)
    prior_rate: float = 1.0
    prior_months: float = 1.0
    pace: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no plan of a trial."""
        if min(self.planned.values(), default=0) < 0 or sum(self.planned.values()) > MOST_PLANNED:
            shown = ", ".join(f"{number:,} {role}" for role, number in self.planned.items())
            raise SpecificationError(
                f"enrolment.planned is {shown}; a trial has from 0 to {MOST_PLANNED:,} patients in all, so correct it"
            )

    def new_arms(self, patients: Patients) -> np.ndarray:
        """Arm of every patient to come."""
        wrong = set(self.planned) - set(patients.arms)
        if wrong:
            raise SpecificationError(f"enrolment.planned names {sorted(wrong)}; the arms are {list(patients.arms)}")
        missing = []
        for index, role in enumerate(patients.arms):
            there = int((patients.arm == index).sum())
            left = self.planned.get(role, there) - there
            if left < 0:
                raise SpecificationError(
                    f"enrolment.planned.{role} is {self.planned[role]} but {there} are enrolled already; correct it"
                )
            missing += [index] * left
        return np.array(missing, dtype=np.int64)

    def rates(self, patients: Patients, size: int, *, rng: np.random.Generator) -> np.ndarray:
        """Draw accrual rates (patients a month) from their posterior."""
        if patients.enrolled is None or patients.data_cutoff is None:
            raise SpecificationError("enrolling more patients needs the dates of enrolment so far; give STARTDT")
        first = float(patients.enrolled.min())
        shape = self.prior_rate * self.prior_months + len(patients) - 1
        return rng.gamma(shape, size=size) / (self.prior_months + patients.data_cutoff - first) * self.pace


@dataclass(frozen=True, eq=False)
class FinalData:
    """Sufficient statistics of final analyses, one a replicate.

    Attributes
    ----------
    date : numpy.ndarray, shape (replicate,)
        Calendar time of the analysis.
    reached : numpy.ndarray of bool, shape (replicate,)
        Whether its trigger happened before the cap.
    number : numpy.ndarray, shape (replicate, arm)
        Patients enrolled by then.
    events : numpy.ndarray, shape (replicate, arm, cause)
    score, variance : numpy.ndarray, shape (replicate,)
        Log-rank: observed minus expected events of the experimental arm, and variance.
    cell_events, cell_exposure : numpy.ndarray, shape (replicate, arm, interval)
        Counted events and patient-months.
    counted : numpy.ndarray of bool, shape (cause,)
    arms, causes : tuple of str
    """

    date: np.ndarray
    reached: np.ndarray
    number: np.ndarray
    events: np.ndarray
    score: np.ndarray
    variance: np.ndarray
    cell_events: np.ndarray
    cell_exposure: np.ndarray
    counted: np.ndarray
    arms: tuple[str, ...]
    causes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.date)

    @classmethod
    def empty(
        cls, size: int, arms: tuple[str, ...], causes: tuple[str, ...], intervals: int, counted: np.ndarray
    ) -> FinalData:
        """Room for ``size`` replicates."""
        return cls(
            np.zeros(size), np.zeros(size, bool), np.zeros((size, len(arms)), np.int64),
            np.zeros((size, len(arms), len(causes)), np.int64), np.zeros(size), np.zeros(size),
            np.zeros((size, len(arms), intervals)), np.zeros((size, len(arms), intervals)), counted, arms, causes,
        )  # fmt: skip

    @classmethod
    def of(cls, patients: Patients, final: FinalAnalysis, grid: TimeGrid) -> FinalData:
        """Sum up a trial whose patients are all known, through the code that sums up simulated ones."""
        from smm_bayes.prediction.completion import Completion

        return Completion.nothing_to_draw(patients, final, grid).run(0, 1)

    @property
    def counted_events(self) -> np.ndarray:
        """Counted events by arm, shape (replicate, arm)."""
        return self.events[:, :, self.counted].sum(axis=2)

    @cached_property
    def z(self) -> np.ndarray:
        """Log-rank statistic; negative favours the experimental arm; 0 where the variance is."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.variance > 0, self.score / np.sqrt(self.variance), 0.0)

    @cached_property
    def hazard_ratio(self) -> np.ndarray:
        """Maximum-likelihood hazard ratio of a piecewise-exponential model; NaN for one arm or no event."""
        if len(self.arms) < 2:
            return np.full(len(self), np.nan)
        from smm_bayes.prediction.final_kernels import hazard_ratios

        out = np.empty(len(self))
        hazard_ratios(self.cell_events, self.cell_exposure, out)
        return np.exp(out)
