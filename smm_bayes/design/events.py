"""Events of a trial: how many a hazard ratio needs, and how many are to be expected by when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.survival.piecewise import PiecewiseExponential, _second


def event_information(events: Any, *, ratio: float = 1.0) -> Any:
    r"""Information on a log hazard ratio, :math:`d\,r/(1 + r)^2` with r patients to one in the other arm.

    With it, :math:`\theta = -\log \mathrm{HR}` is the effect of a :class:`~smm_bayes.design.GroupSequential` design.

    Raises
    ------
    SpecificationError
        When ``ratio`` is not above 0.

    Examples
    --------
    >>> float(event_information(100))
    25.0
    """
    if not 0 < ratio < math.inf:
        raise SpecificationError(f"ratio, patients to one in the other arm, must be above 0; got {ratio}")
    return np.asarray(events, float)[()] * ratio / (1 + ratio) ** 2


def events_needed(
    hazard_ratio: float, *, alpha: float = 0.025, power: float = 0.9, ratio: float = 1.0, margin: float = 1.0,
    inflation: float = 1.0,
) -> float:  # fmt: skip
    r"""Events with which a log-rank test has a power, by Schoenfeld's formula.

    .. math:: d = \frac{(1 + r)^2}{r} \left(\frac{z_\alpha + z_\beta}{\log \mathrm{HR} - \log m}\right)^2

    Parameters
    ----------
    hazard_ratio : float
        To be found.
    alpha : float
        One-sided.
    power : float
    ratio : float
        r, patients to one in the other arm.
    margin : float
        m, the hazard ratio to be excluded.
    inflation : float
        Of a group-sequential design (:meth:`GroupSequential.inflation`).

    Returns
    -------
    float
        Round it up.

    Raises
    ------
    SpecificationError
        When a number is out of range, or the hazard ratio is the one to be excluded.

    References
    ----------
    Schoenfeld DA. Biometrics 1983;39:499-503.

    Examples
    --------
    >>> round(events_needed(0.7, power=0.9), 2)
    330.38
    """
    from scipy.special import ndtri

    with Problems("events", SpecificationError).collecting() as problems:
        for name, value in (("hazard_ratio", hazard_ratio), ("margin", margin), ("inflation", inflation)):
            if not 0 < value < math.inf:
                problems.add(f"{name} must be finite and above 0; got {value}")
        if hazard_ratio == margin:
            problems.add(f"the hazard ratio must differ from the one to be excluded; both are {margin:g}")
        if not (0 < alpha < 0.5 and alpha < power < 1):
            problems.add(f"need alpha above 0 and below 0.5, and power above it and below 1; got {alpha} and {power}")
    wanted = (ndtri(1 - alpha) + ndtri(power)) / math.log(hazard_ratio / margin)
    return float(inflation * wanted**2 / event_information(1.0, ratio=ratio))


def hazard_ratio_at(z: Any, events: Any, *, ratio: float = 1.0) -> Any:
    """Hazard ratio at which the statistic would be ``z``: what a bound means at so many events.

    Examples
    --------
    >>> hazard_ratio_at(1.96, 330).round(4)
    np.float64(0.8059)
    """
    return np.exp(-np.asarray(z, float) / np.sqrt(event_information(events, ratio=ratio)))


@dataclass(frozen=True)
class Accrual:
    """Patients who enrol at constant rates, one after the other; nobody after the last.

    Parameters
    ----------
    durations : tuple of float
        Of each rate.
    rates : tuple of float
        Patients a unit of time.

    Raises
    ------
    SpecificationError
        When durations are not above 0 or rates negative.

    Examples
    --------
    >>> Accrual((2, 10), (3, 9)).by([1.0, 4.0, 20.0])
    array([ 3., 24., 96.])
    """

    durations: tuple[float, ...]
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is no accrual."""
        durations, rates = np.array(self.durations, float), np.array(self.rates, float)
        if durations.shape != rates.shape or not len(rates) or not np.all((durations > 0) & (durations < np.inf)):
            raise SpecificationError(f"accrual needs a duration above 0 for each rate; got {self.durations}")
        if not np.all((rates >= 0) & (rates < np.inf)):
            raise SpecificationError(f"accrual needs rates from 0; got {self.rates}")

    @property
    def ends(self) -> np.ndarray:
        """When each rate ends."""
        return np.cumsum(self.durations)

    def by(self, time: Any) -> np.ndarray:
        """Patients enrolled by each time."""
        knots = np.concatenate([[0.0], self.ends])
        count = np.concatenate([[0.0], np.cumsum(np.multiply(self.durations, self.rates))])
        return np.interp(np.asarray(time, float), knots, count)


def expected_events(accrual: Accrual, law: PiecewiseExponential, at: float, *, dropout: float = 0.0) -> np.ndarray:
    r"""Events to be expected by a calendar time, by interval of the hazard in which they happen.

    With A(x) patients enrolled by x, hazard :math:`\lambda(u)` and dropout at rate :math:`\eta`,

    .. math:: E_j = \int_{(\tau_{j-1}, \tau_j] \cap (0, T]} \lambda_j\, e^{-\int_0^u \lambda - \eta u} A(T - u)\, du,

    in closed form: A is linear, and the rest exponential, between the cuts of the hazard and those of accrual.

    Parameters
    ----------
    accrual : Accrual
    law : PiecewiseExponential
        Of one arm, log hazards of shape (interval,).
    at : float
        T, in the units of the grid.
    dropout : float

    Returns
    -------
    numpy.ndarray, shape (interval,)

    Raises
    ------
    SpecificationError
        When T is negative or not finite, or dropout negative.

    Examples
    --------
    >>> from smm_bayes.survival import TimeGrid
    >>> law = PiecewiseExponential(np.log([0.1155]), TimeGrid(()))
    >>> expected_events(Accrual((10,), (10,)), law, 22, dropout=0.01).round(3)
    array([80.404])
    """
    from scipy.special import exprel

    if not (0 <= at < math.inf and 0 <= dropout < math.inf):
        raise SpecificationError(f"time and dropout must be finite and from 0; got {at} and {dropout}")
    knots = np.concatenate([[0.0, at], law.grid.cuts, at - accrual.ends])
    edges = np.unique(knots[(knots >= 0) & (knots <= at)])
    start, width = edges[:-1], np.diff(edges)
    interval = law.grid.index((start + edges[1:]) / 2)
    hazard, leave = law.hazards[interval], law.hazards[interval] + dropout
    still = np.exp(-law.cumulative_hazard(start) - dropout * start)
    first, last = (
        accrual.by(at - start),
        accrual.by(at - edges[1:]),
    )  # the share at risk falls linearly from one to the other
    each = hazard * still * width * (last * exprel(-leave * width) + (first - last) * _second(leave * width))
    return np.bincount(interval, each, minlength=len(law.grid)).astype(float)  # of no piece it is whole numbers


def time_of_events(accrual: Accrual, laws: Any, events: float, *, dropout: float = 0.0) -> float:
    """Calendar time by which so many events are to be expected in all arms together.

    Parameters
    ----------
    accrual : Accrual
        Of each arm.
    laws : sequence of PiecewiseExponential
        One for each arm.
    events : float
    dropout : float

    Returns
    -------
    float
        Infinite when so many are never to be expected.
    """
    from scipy.optimize import brentq

    def short(at: float) -> float:
        return sum(float(expected_events(accrual, law, at, dropout=dropout).sum()) for law in laws) - events

    high = float(accrual.ends[-1])
    while short(high) < 0:
        if high > 1e6:
            return math.inf
        high *= 2
    return float(brentq(short, 0.0, high, xtol=1e-10)) if events > 0 else 0.0


@dataclass(frozen=True)
class AverageHazardRatio:
    """What a log-rank test sees of a hazard ratio that changes.

    Attributes
    ----------
    hazard_ratio : float
        Geometric mean, weighted by information.
    events : float
        Expected in both arms.
    information : float
        On the log hazard ratio, summed over intervals.
    """

    hazard_ratio: float
    events: float
    information: float


def average_hazard_ratio(
    accrual: Accrual, control: PiecewiseExponential, experimental: PiecewiseExponential, at: float, *,
    dropout: float = 0.0,
) -> AverageHazardRatio:  # fmt: skip
    r"""Average hazard ratio by a calendar time, of two arms that enrol alike.

    Interval j with expected events :math:`e_{0j}, e_{1j}` weighs :math:`1/(1/e_{0j} + 1/e_{1j})`.

    Parameters
    ----------
    accrual : Accrual
        Of each arm.
    control, experimental : PiecewiseExponential
        On one grid.
    at, dropout : float

    Raises
    ------
    SpecificationError
        When the laws are on different grids, or no event is expected.

    References
    ----------
    Mukhopadhyay P et al. Journal of Biopharmaceutical Statistics 2020;30:1130-1146.
    """
    if control.grid != experimental.grid:
        raise SpecificationError("both arms must have the same cuts; give the experimental hazard on those of control")
    e0, e1 = (expected_events(accrual, law, at, dropout=dropout) for law in (control, experimental))
    weight = np.divide(e0 * e1, e0 + e1, out=np.zeros_like(e0), where=e0 + e1 > 0)
    if not weight.sum() > 0:
        raise SpecificationError(f"no event is expected in one of the arms by {at:g}; give a later time")
    seen = weight > 0
    log_ratio = (experimental.log_hazard - control.log_hazard)[seen]
    average = float(np.exp(weight[seen] @ log_ratio / weight.sum()))
    return AverageHazardRatio(average, float((e0 + e1).sum()), float(weight.sum()))
