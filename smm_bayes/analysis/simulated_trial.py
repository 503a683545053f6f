"""Simulated trials of two arms with MRD: a truth, and the trial or the interim snapshot it gives."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.trial.calendar import DAYS_PER_MONTH, MONTHS_PER_UNIT
from smm_bayes.trial.cuts import cut_by_date
from smm_bayes.trial.mrd import MrdAssessments
from smm_bayes.trial.patients import ROLES, Patients

DAY = MONTHS_PER_UNIT["day"]
CAUSES = ("progression", "death")
LIFETIME = 1200.0  # months: nobody is followed for longer
ARMS = len(ROLES)


@dataclass(frozen=True)
class MrdPlan:
    """When MRD is assessed, how often it is negative, and what that does to the hazard of progression.

    Parameters
    ----------
    days : tuple of int
        Days from enrolment to each planned assessment, increasing.
    scatter : int
        An assessment is made up to so many days earlier or later, each day equally often.
    negative : tuple of tuple of float, (arm, assessment)
        Probability of being negative at an assessment, given freedom from progression then.
    stays : tuple of float
        Probability that a negative patient is negative at the next assessment too, one a pair of neighbours.
    missing : tuple of float
        Probability of having no result at each assessment, whatever it would have been.
    hazard_ratio : float
        Hazard of progression while negative, to the hazard while not.
    sensitivity : float
        Lowest detectable fraction of cells.

    Raises
    ------
    SpecificationError
    """

    days: tuple[int, ...]
    scatter: int
    negative: tuple[tuple[float, ...], ...]
    stays: tuple[float, ...]
    missing: tuple[float, ...]
    hazard_ratio: float
    sensitivity: float

    def __post_init__(self) -> None:
        """Refuse a plan that cannot be carried out."""
        size, problems = len(self.days), Problems("MRD plan", SpecificationError)
        if not size:
            raise SpecificationError("an MRD plan needs an assessment; give its day")
        if self.scatter < 0 or np.any(np.diff([-self.scatter, *self.days]) <= 2 * self.scatter):
            problems.add("assessments overlap each other or enrolment; give increasing days or a smaller scatter")
        if len(self.negative) != ARMS or any(len(arm) != size for arm in self.negative):
            problems.add(f"negative needs {size} probabilities in each of {ARMS} arms, one an assessment")
        if len(self.stays) != size - 1 or len(self.missing) != size:
            problems.add(f"stays needs {size - 1} probabilities (one a pair of neighbours) and missing {size}")
        if any(not 0 <= p <= 1 for p in [*(p for arm in self.negative for p in arm), *self.stays, *self.missing]):
            problems.add("negative, stays and missing are probabilities; give numbers from 0 to 1")
        if not (0 < self.hazard_ratio < np.inf and 0 < self.sensitivity < 1):
            problems.add("hazard_ratio must be above 0, sensitivity between 0 and 1")
        problems.raise_if_any()

    @property
    def scattered(self) -> np.ndarray:
        """Days on which each assessment may be made, shape (assessment, 2·scatter + 1)."""
        return np.array(self.days)[:, None] + np.arange(-self.scatter, self.scatter + 1)


@dataclass(frozen=True)
class TrialDesign:
    """The truth of a simulated trial with a control and an experimental arm.

    Patient i of arm a is enrolled at a Poisson process of rate ρ and is assessed for MRD on the scattered days
    m_1 < m_2 < …; z_i(t) says whether the last of the assessments due before t finds (or would have found) MRD
    negativity. The hazards per month are, for t in interval j,

        progression  λ_a·r_j·θ^{z_i(t)},      death without progression  δ_aj,      loss to follow-up  ω_a.

    The months before a patient becomes negative thus belong to the state before. z is a Markov chain: negative
    stays negative with probability s_k, and not negative becomes negative with the probability g_ak that makes the
    share of negatives among those free of progression at assessment k equal to ``negative``. The level λ_a solves
    E[exp(−∫₀^t* λ_a·r·θ^z dt)] = ``free_of_progression`` at t* = ``free_month``: the expectation, over states and days
    of assessment, is a finite sum that is carried forward exactly. A result may be missing, completely at random; z and
    its hazard go on all the same. The arms' hazards of progression are not proportional: MRD comes in between.

    Parameters
    ----------
    trial, patient : str
        Name of the trial and of its patients, before their number.
    arm_names : tuple of str
        What the trial calls control and experimental.
    planned, block : tuple of int
        Patients planned, and patients in a permuted block, by arm.
    start : datetime.date
        From when patients may be enrolled.
    rate : float
        Patients a month, ρ.
    grid : TimeGrid
        Intervals of the hazards.
    shape : tuple of float
        Hazard of progression in each interval, relative: r.
    free_month : float
        t*, in months, after the last assessment.
    free_of_progression : tuple of float
        Probability by arm of being free of progression at t*, were there no deaths.
    death : tuple of tuple of float, (arm, interval)
        δ, per month.
    loss : tuple of float
        ω by arm, per month.
    mrd : MrdPlan
    cutoff : datetime.date, optional
        Data cut-off; without it everybody is followed to the end.

    Raises
    ------
    SpecificationError

    References
    ----------
    Austin PC. Generating survival times to simulate Cox proportional hazards models with time-varying covariates.
    Stat Med 2012;31:3946-58, doi:10.1002/sim.5452.
    """

    trial: str
    patient: str
    arm_names: tuple[str, str]
    planned: tuple[int, int]
    block: tuple[int, int]
    start: datetime.date
    rate: float
    grid: TimeGrid
    shape: tuple[float, ...]
    free_month: float
    free_of_progression: tuple[float, float]
    death: tuple[tuple[float, ...], ...]
    loss: tuple[float, float]
    mrd: MrdPlan
    cutoff: datetime.date | None = None

    def __post_init__(self) -> None:
        """Refuse a design that cannot be carried out, or whose probabilities contradict each other."""
        size, problems = len(self.grid), Problems("trial design", SpecificationError)
        blocks = self.planned[0] // max(self.block[0], 1)
        if min(self.block) < 1 or blocks < 1 or self.planned != (blocks * self.block[0], blocks * self.block[1]):
            problems.add(f"planned {self.planned} is no whole number of blocks {self.block}; correct either")
        if not 0 < self.rate < np.inf:
            problems.add(f"the rate of accrual must be above 0; got {self.rate:g}")
        if len(self.shape) != size or [len(arm) for arm in self.death] != [size] * ARMS:
            problems.add(f"shape, and death in each of {ARMS} arms, need {size} values, one an interval")
        if any(not 0 < relative < np.inf for relative in self.shape):
            problems.add("shape must be above 0")
        if any(not 0 <= hazard < np.inf for hazard in [*self.loss, *(hazard for arm in self.death for hazard in arm)]):
            problems.add("hazards of death and of loss must not be negative")
        if any(not 0 < p < 1 for p in self.free_of_progression):
            problems.add("free_of_progression needs probabilities between 0 and 1")
        if not self.mrd.scattered.max() * DAY <= self.free_month < np.inf:
            problems.add("free_month must be after the last MRD assessment")
        if self.cutoff is not None and self.cutoff <= self.start:
            problems.add(f"the data cut-off {self.cutoff} is not after the start {self.start}")
        problems.raise_if_any()
        for arm, gain in enumerate(self.gain):
            if any(not -1e-9 <= p <= 1 + 1e-9 for p in gain):
                problems.add(f"{ROLES[arm]}: no chain of MRD states has these shares of negatives with these "
                             "probabilities of staying negative; lower 'stays' or bring the shares closer")  # fmt: skip
        problems.raise_if_any()

    @property
    def level(self) -> np.ndarray:
        """λ by arm: the hazard of progression while not MRD-negative, where the shape is 1."""
        return self._solved[0]

    @property
    def gain(self) -> np.ndarray:
        """g: probability of becoming negative at each assessment, shape (arm, assessment)."""
        return self._solved[1]

    def free(self, arm: int, month: float) -> float:
        """Probability of being free of progression at ``month`` (after the last assessment), were there no deaths."""
        return self._carry(arm, float(self.level[arm]), month)[0]

    @cached_property
    def _solved(self) -> tuple[np.ndarray, np.ndarray]:
        from scipy.optimize import brentq

        level, gain = np.empty(ARMS), np.empty((ARMS, len(self.mrd.days)))
        for arm, target in enumerate(self.free_of_progression):
            # exact were nobody, or everybody, negative from the start: the truth is in between
            bounds = np.sort(-np.log(target) / self._reached(self.free_month) / np.array([1.0, self.mrd.hazard_ratio]))
            level[arm] = brentq(lambda x, a=arm, p=target: self._carry(a, x, self.free_month)[0] - p,
                                bounds[0] * (1 - 1e-9), bounds[1] * (1 + 1e-9), xtol=1e-14, rtol=1e-13)  # fmt: skip
            gain[arm] = self._carry(arm, level[arm], self.free_month)[1]
        level.setflags(write=False)
        gain.setflags(write=False)
        return level, gain

    def _reached(self, month: np.ndarray | float) -> np.ndarray:
        """∫₀^t r dt, shape as ``month``."""
        return self.grid.exposure(np.asarray(month)) @ np.array(self.shape)

    def _carry(self, arm: int, level: float, month: float) -> tuple[float, list[float]]:
        """Carry the MRD states forward to ``month``: the share free of progression then, and the gains needed."""
        ratio = np.array([1.0, self.mrd.hazard_ratio])[:, None, None]
        mass, reached, gains = np.array([[1.0], [0.0]]), np.zeros(1), []  # mass: (not negative or negative, day)
        stays = (0.0, *self.mrd.stays)
        for days, share, stay in zip(self.mrd.scattered, self.mrd.negative[arm], stays, strict=True):
            then = self._reached(days * DAY)
            moved = np.exp(-level * ratio * (then[None, :] - reached[:, None]))  # (state, day before, day)
            mass, reached = np.einsum("sd,sde->se", mass, moved) / len(days), then
            was = mass.sum(axis=1)
            lacking = share * was.sum() - stay * was[1]
            gains.append(lacking / was[0] if was[0] > 0 else 0.0 if abs(lacking) < 1e-12 else np.inf)
            gain = np.clip(gains[-1], 0.0, 1.0)
            change = np.array([[1 - gain, 1 - stay], [gain, stay]])  # to, from
            mass = change @ mass
        ends = np.exp(-level * ratio[..., 0] * (self._reached(month) - reached))
        return float((mass * ends).sum()), gains


def simulate_trial(design: TrialDesign, *, rng: np.random.Generator) -> Patients:
    """Simulate the patients of a design, as they are known at its data cut-off.

    Enrolment, assessments and ends of follow-up are on whole days: progression, death and loss count on the day in
    which they happen, and an assessment is made when none of them has happened up to its day.

    Parameters
    ----------
    design : TrialDesign
    rng : numpy.random.Generator

    Returns
    -------
    Patients
        Of provenance ``simulated``, in the order of enrolment, with their MRD assessments.

    Raises
    ------
    DataError
        When nobody is enrolled by the data cut-off.
    """
    size = sum(design.planned)
    blocks = np.tile(np.repeat(np.arange(ARMS), design.block), (size // sum(design.block), 1))
    arm = rng.permuted(blocks, axis=1).ravel()
    enrolled = np.floor(np.cumsum(rng.exponential(1 / design.rate, size)) * DAYS_PER_MONTH).astype(int)
    assessed, negative = _mrd_states(design, arm, rng)
    with np.errstate(divide="ignore"):
        death, loss = np.log(design.death), np.log(design.loss)
    ends = np.column_stack([
        _progression(design, arm, assessed, negative, rng),
        PiecewiseExponential(death[arm], design.grid).sample(rng=rng),
        PiecewiseExponential(loss[arm, None], TimeGrid()).sample(rng=rng),
        np.full(size, LIFETIME),
    ])  # fmt: skip
    first = ends.argmin(axis=1)
    days = np.ceil(ends.min(axis=1) * DAYS_PER_MONTH)
    event = first < len(CAUSES)
    row, k = np.nonzero((assessed < days[:, None]) & (rng.random(assessed.shape) >= design.mrd.missing))
    mrd = MrdAssessments(row, assessed[row, k] * DAY, negative[row, k], np.full(len(row), design.mrd.sensitivity))
    digits = len(str(size))
    patients = Patients(
        patient=np.array([f"{design.patient}-{number:0{digits}d}" for number in range(1, size + 1)], dtype=object),
        arm=arm, time=days * DAY, event=event, cause=np.where(event, first, -1),
        censoring=np.array(["", "", "lost", "administrative"], dtype=object)[first],
        enrolled=(enrolled - enrolled[0]) / DAYS_PER_MONTH, arms=ROLES, arm_names=design.arm_names, causes=CAUSES,
        trial=design.trial, mrd=mrd, origin=design.start + datetime.timedelta(days=int(enrolled[0])),
        provenance="simulated",
    )  # fmt: skip
    return patients if design.cutoff is None else cut_by_date(patients, design.cutoff)


def _mrd_states(design: TrialDesign, arm: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Day of each assessment and whether it would find negativity, shape (patient, assessment)."""
    plan = design.mrd
    days = np.array(plan.days) + rng.integers(-plan.scatter, plan.scatter + 1, size=(len(arm), len(plan.days)))
    negative = np.zeros(days.shape, dtype=bool)
    was = np.zeros(len(arm), dtype=bool)
    for k, stay in enumerate((0.0, *plan.stays)):
        was = rng.random(len(arm)) < np.where(was, stay, design.gain[arm, k])
        negative[:, k] = was
    return days, negative


def _progression(
    design: TrialDesign, arm: np.ndarray, days: np.ndarray, negative: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Months to progression: the time at which the cumulative hazard reaches a standard exponential number.

    Time runs at the state's ratio: what the exponential number leaves after each assessment is divided by it.
    """
    left = rng.exponential(size=len(arm))
    at = np.zeros((len(arm), 1 + days.shape[1]))  # cumulative hazard of a patient never negative
    at[:, 1:] = design.level[arm, None] * design._reached(days * DAY)
    ratio = np.ones(at.shape)
    ratio[:, 1:] = np.where(negative, design.mrd.hazard_ratio, 1.0)
    spent = np.diff(at, axis=1) * ratio[:, :-1]
    k = (left[:, None] > np.cumsum(spent, axis=1)).sum(axis=1)  # assessments passed without progression
    before = np.where(np.arange(spent.shape[1]) < k[:, None], spent, 0.0).sum(axis=1)
    mine = np.arange(len(arm))
    reached = at[mine, k] + (left - before) / ratio[mine, k]
    never = np.log(design.level[arm, None] * np.array(design.shape))
    return PiecewiseExponential(never, design.grid).time_at(reached)
