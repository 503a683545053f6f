"""Kaplan–Meier curves and the hazard ratio of two arms, in NumPy alone: what published summaries are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import DataError
from smm_bayes.trial.calendar import on_clock
from smm_bayes.trial.cox import efron_terms, solve_score

NEAR_HALF = 1e-9  # a product of floats just misses an exact half


@dataclass(frozen=True, eq=False)
class SurvivalCurve:
    """A survival curve as a step function, continuous from the right; 1 before its first step.

    Attributes
    ----------
    time : numpy.ndarray, shape (step,)
        Times of the steps in months, strictly increasing.
    survival : numpy.ndarray, shape (step,)
        Survival from each step on.
    """

    time: np.ndarray
    survival: np.ndarray

    def __post_init__(self) -> None:
        """Refuse a curve that is not one."""
        if len(self.time) != len(self.survival) or np.any(np.diff(self.time) <= 0):
            raise DataError("survival curve: the times of its steps must increase strictly, one survival a time")
        if np.any(np.diff(self.survival) > 1e-12) or np.any(self.survival < -1e-12) or np.any(self.survival > 1):
            raise DataError("survival curve: survival must fall from at most 1 to at least 0")
        self.time.setflags(write=False)
        self.survival.setflags(write=False)

    def at(self, time: np.ndarray | float) -> np.ndarray:
        """Survival S(t), the steps at t included."""
        return np.concatenate([[1.0], self.survival])[np.searchsorted(self.time, time, side="right")]

    @property
    def median(self) -> float:
        """First time at which survival is a half or less; infinite if it never is.

        Where survival is exactly a half for a while, the middle between the time at which it comes to a half and the
        time at which it falls below, as R's survfit and SAS's LIFETEST print it; the former if it never falls below.
        """
        reached = np.flatnonzero(self.survival <= 0.5 + NEAR_HALF)
        if not len(reached):
            return float("inf")
        first, below = self.time[reached[0]], np.flatnonzero(self.survival < 0.5 - NEAR_HALF)
        last = self.time[below[0]] if len(below) and below[0] != reached[0] else first
        return float((first + last) / 2)

    def __repr__(self) -> str:
        last = f"{self.survival[-1]:.3f} at {self.time[-1]:g} months" if len(self.time) else "no step"
        return f"SurvivalCurve: {len(self.time)} steps, median {self.median:.4g} months, {last}"


def kaplan_meier(time: np.ndarray, event: np.ndarray, entry: np.ndarray | None = None) -> SurvivalCurve:
    """Estimate survival by Kaplan and Meier: S(t) = ∏ over event times u ≤ t of 1 − d(u)/r(u).

    Who is censored at u is still at risk at u; who enters at u is not yet.

    Parameters
    ----------
    time : numpy.ndarray, shape (patient,)
        Months to the event or to censoring.
    event : numpy.ndarray of bool, shape (patient,)
    entry : numpy.ndarray, shape (patient,), optional
        Months at which each patient came under observation (delayed entry); 0 if not given.

    References
    ----------
    Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-81, doi:10.1080/01621459.1958.10501452.
    """
    return product_limit(on_clock(np.asarray(time, dtype=float)), event, _entered(entry))


def product_limit(time: np.ndarray, event: np.ndarray, entry: np.ndarray | None = None) -> SurvivalCurve:
    """Estimate as :func:`kaplan_meier` of numbers that are no months, such as residuals: they are taken as they are."""
    steps, deaths, at_risk = _risk_sets(time, event, entry)
    return SurvivalCurve(steps, np.cumprod(1 - deaths / at_risk))


def _entered(entry: np.ndarray | None) -> np.ndarray | None:
    return None if entry is None else on_clock(np.asarray(entry, dtype=float))


def kaplan_meier_limits(
    time: np.ndarray, event: np.ndarray, entry: np.ndarray | None = None, *, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise limits of the Kaplan–Meier estimate at its steps, S^exp(±z·s / log S) with s² = Σ d / (r (r − d)).

    Where the estimate has reached 0 both limits are 0 and 1: Greenwood's variance is then infinite.

    Parameters
    ----------
    time, event, entry : numpy.ndarray, shape (patient,)
        As in :func:`kaplan_meier`.
    level : float

    Returns
    -------
    lower, upper : numpy.ndarray, shape (step,)

    References
    ----------
    Kalbfleisch JD, Prentice RL. The Statistical Analysis of Failure Time Data, 2002 (log-log limits).
    """
    from statistics import NormalDist

    _, deaths, at_risk = _risk_sets(on_clock(np.asarray(time, dtype=float)), event, _entered(entry))
    survival = np.cumprod(1 - deaths / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(np.cumsum(deaths / (at_risk * (at_risk - deaths))))
        limits = [survival ** np.exp(sign * spread / np.log(survival)) for sign in (-1, 1)]
    known = survival > 0
    return np.where(known, limits[0], 0.0), np.where(known, limits[1], 1.0)


def _risk_sets(
    time: np.ndarray, event: np.ndarray, entry: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times with events, how many there are, and how many patients are at risk then."""
    time, event = np.asarray(time, dtype=float), np.asarray(event, dtype=bool)
    steps, deaths = np.unique(time[event], return_counts=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), steps, side="left")
    if entry is not None:
        entered = np.sort(np.asarray(entry, dtype=float))
        at_risk = at_risk - (len(time) - np.searchsorted(entered, steps, side="left"))
    return steps, deaths, at_risk


def hazard_ratio(control: tuple[np.ndarray, np.ndarray], experimental: tuple[np.ndarray, np.ndarray]) -> float:
    """Hazard ratio of two arms by Cox's partial likelihood, as in :func:`~smm_bayes.trial.cox.cox_ratio`.

    Parameters
    ----------
    control, experimental : tuple of (time, event)
        Arrays of shape (patient,) of each arm.

    Returns
    -------
    float
        e^β, experimental over control; 0 or infinite where only one arm has events while both are at risk.

    Raises
    ------
    DataError
        If neither arm has an event.
    """
    time, event = (np.concatenate([np.asarray(arm[k], dtype=kind) for arm in (control, experimental)])
                   for k, kind in ((0, float), (1, bool)))  # fmt: skip
    group = np.repeat([False, True], [len(control[0]), len(experimental[0])])
    hits = [int(event[group == arm].sum()) for arm in (False, True)]
    if not sum(hits):
        raise DataError("hazard ratio: neither arm has an event; give arms with events")
    if not hits[0] or not hits[1]:
        return 0.0 if hits[0] else float("inf")
    return float(np.exp(solve_score(*efron_terms(time, event, group), hits[1])))
