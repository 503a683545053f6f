"""Cox's hazard ratio of two groups within strata, with its standard error, in NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import DataError
from smm_bayes.results import Result, tails
from smm_bayes.trial.calendar import on_clock

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CoxRatio(Result):
    """Hazard ratio of group 1 over group 0 by Cox's partial likelihood.

    Attributes
    ----------
    log_hazard_ratio : float
        Minus or plus infinity where the likelihood has its maximum there.
    standard_error : float
        One over the root of the observed information; infinite where the estimate is.
    patients, events : tuple of int
        Of group 0 and of group 1.
    """

    log_hazard_ratio: float
    standard_error: float
    patients: tuple[int, int]
    events: tuple[int, int]

    @property
    def hazard_ratio(self) -> float:
        """Hazard ratio, from 0 to infinity."""
        return float(np.exp(self.log_hazard_ratio))

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Wald interval of the hazard ratio; 0 to infinity where the estimate is one of these.

        Raises
        ------
        SpecificationError
            When ``probability`` is not between 0 and 1.
        """
        from statistics import NormalDist

        _, above = tails(probability)
        if not np.isfinite(self.log_hazard_ratio):
            return 0.0, float("inf")
        half = NormalDist().inv_cdf(above) * self.standard_error
        return float(np.exp(self.log_hazard_ratio - half)), float(np.exp(self.log_hazard_ratio + half))

    def table(self, probability: float = 0.95) -> pd.DataFrame:
        """Give the hazard ratio with its Wald interval, patients and events of both groups, as one row."""
        import pandas as pd

        row = (self.hazard_ratio, *self.interval(probability), *self.patients, *self.events)
        columns = ["hazard_ratio", "lower", "upper", "patients_0", "patients_1", "events_0", "events_1"]
        return pd.DataFrame([row], columns=columns)

    def summary(self) -> str:
        """Say the hazard ratio with its 95 % interval, events and patients."""
        low, high = self.interval()
        groups = " and ".join(f"{e} events in {n}" for e, n in zip(self.events, self.patients, strict=True))
        return f"hazard ratio {self.hazard_ratio:.3g} (95 % {low:.3g} to {high:.3g}); {groups} patients"

    def __repr__(self) -> str:
        return f"CoxRatio: {self.summary().removeprefix('hazard ratio ')}"


def cox_ratio(time: np.ndarray, event: np.ndarray, group: np.ndarray, stratum: np.ndarray | None = None) -> CoxRatio:
    r"""Estimate the hazard ratio of two groups that share a baseline hazard within each stratum.

    With :math:`r_{gsu}` patients of group g and stratum s at risk just before u, :math:`d_{gsu}` of them with an event
    at u, :math:`d = d_0 + d_1` and :math:`a_{gl} = r_g - (l/d)\, d_g` (Efron's correction for ties), the score

    .. math:: U(\beta) = \sum_s \sum_u \Big( d_1 - \sum_{l=0}^{d-1} p_l \Big), \quad
              p_l = \frac{a_{1l} e^\beta}{a_{0l} + a_{1l} e^\beta}

    is solved by Newton's method; the information is :math:`\sum p_l (1 - p_l)`.

    Parameters
    ----------
    time : numpy.ndarray of float, shape (patient,)
        Months to the event or to censoring.
    event, group : numpy.ndarray of bool, shape (patient,)
    stratum : numpy.ndarray, shape (patient,), optional
        All patients are in one if not given.

    Returns
    -------
    CoxRatio

    Raises
    ------
    DataError
        When no event happens while both groups are at risk in its stratum: the ratio is then not defined.

    References
    ----------
    Cox DR. J R Stat Soc B 1972;34:187-220. Efron B. J Am Stat Assoc 1977;72:557-65.
    """
    group, event = np.asarray(group, dtype=bool), np.asarray(event, dtype=bool)
    within = np.zeros(len(group), dtype=int) if stratum is None else np.asarray(stratum)
    parts = [efron_terms(time[rows], event[rows], group[rows]) for rows in (within == s for s in np.unique(within))]
    a0, a1 = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    both = (a0 > 0) & (a1 > 0)
    if not both.any():
        raise DataError("hazard ratio: no event happens while both groups are at risk; give groups that overlap")
    total = float(event[group].sum() - (a0 <= 0).sum())  # events of group 1 while group 0 was at risk too
    beta, error = _estimate(a0[both], a1[both], total)
    counted = [(int((group == g).sum()), int(event[group == g].sum())) for g in (False, True)]
    return CoxRatio(beta, error, (counted[0][0], counted[1][0]), (counted[0][1], counted[1][1]))


def _estimate(a0: np.ndarray, a1: np.ndarray, total: float) -> tuple[float, float]:
    """Root of the score for its terms where both groups are at risk, and its standard error."""
    if total < 0.5 or total > len(a0) - 0.5:
        return (-np.inf if total < 0.5 else np.inf), np.inf
    beta = solve_score(a0, a1, total)
    return beta, float(1 / np.sqrt(_information(a0, a1, beta)))


def solve_score(a0: np.ndarray, a1: np.ndarray, total: float) -> float:
    """Root of the score by Newton's method: ``total`` events of group 1, one term of each group for each event."""
    beta = 0.0
    for _ in range(50):
        p = a1 * np.exp(beta) / (a0 + a1 * np.exp(beta))
        step = (total - p.sum()) / _information(a0, a1, beta)
        beta += float(np.clip(step, -2.0, 2.0))
        if abs(step) < 1e-10:
            break
    return beta


def _information(a0: np.ndarray, a1: np.ndarray, beta: float) -> float:
    p = a1 * np.exp(beta) / (a0 + a1 * np.exp(beta))
    return max(float((p * (1 - p)).sum()), 1e-12)


def efron_terms(time: np.ndarray, event: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give a_0 and a_1, patients at risk of both groups by Efron's correction, one term for each event."""
    time = on_clock(np.asarray(time, dtype=float))
    steps, position = np.unique(time[event], return_inverse=True)
    hit = group[event]
    d0, d1 = (np.bincount(position[hit == g], minlength=len(steps)) for g in (False, True))
    r0, r1 = (int((group == g).sum()) - np.searchsorted(np.sort(time[group == g]), steps) for g in (False, True))
    d = d0 + d1
    which = np.repeat(np.arange(len(steps)), d)
    share = (np.arange(len(which)) - np.repeat(np.cumsum(d) - d, d)) / d[which]
    return r0[which] - share * d0[which], r1[which] - share * d1[which]
