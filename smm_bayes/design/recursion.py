r"""Crossing probabilities of sequential boundaries by recursive integration.

At looks of information :math:`I_1 < \dots < I_K` the statistics :math:`Z_k` are jointly normal with mean
:math:`\theta\sqrt{I_k}`, variance 1 and covariance :math:`\sqrt{I_j/I_k}`, j < k: :math:`Z_k\sqrt{I_k}` has independent
increments :math:`N(\theta\Delta, \Delta)`. The density of trials still going on is carried from look to look at
Gauss-Legendre points of panels that end at the boundaries, so that it is smooth in each.

References
----------
Armitage P, McPherson CK, Rowe BC. J R Stat Soc A 1969;132:235-244. Jennison C, Turnbull BW. Group Sequential Methods
with Applications to Clinical Trials, 1999, chapter 19.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.numerics.adaptive import pieces

REACH = 9.0  # standard errors beyond which nothing is carried
WIDEST = 2.5  # of a panel, in standard deviations of the narrowest normal density that it meets
APART = 8.0  # drifts so far apart, in standard errors at the last look, have recursions of their own
CLOSEST = 1e-3  # looks nearer than this share of their information are refused


@dataclass(frozen=True, eq=False)
class Walk:
    """Trials still going on at a look: points of Z and the probability at them when the effect is ``centre``."""

    information: float
    points: np.ndarray
    mass: np.ndarray
    centre: float
    reach: float

    @classmethod
    def start(cls, centre: float = 0.0, reach: float = REACH) -> Walk:
        """Before the first look."""
        return cls(0.0, np.zeros(1), np.ones(1), centre, reach)

    def mass_at(self, theta: np.ndarray) -> np.ndarray:
        """Give the probability at the points under other effects, shape (theta, point), by the likelihood ratio."""
        difference = (theta - self.centre)[:, None]
        score = np.sqrt(self.information) * self.points
        return self.mass * np.exp(difference * (score - (theta + self.centre)[:, None] * self.information / 2))

    def beyond(self, information: float, bound: float, theta: np.ndarray, *, up: bool) -> np.ndarray:
        """Probability of Z above (``up``) or below a bound at the next look, shape (theta,)."""
        from scipy.special import ndtr

        step = information - self.information
        distance = bound * np.sqrt(information) - self.points * np.sqrt(self.information)
        scaled = (distance - theta[:, None] * step) / np.sqrt(step)
        return (self.mass_at(theta) * ndtr(-scaled if up else scaled)).sum(axis=1)

    def to(self, information: float, lower: float, upper: float, ahead: float) -> Walk:
        """Trials that go on from the next look, between its bounds; ``ahead`` is the information of the one after."""
        step, root = information - self.information, np.sqrt(information)
        low, high = (self.centre * root + sign * self.reach for sign in (-1, 1))
        low, high = max(low, lower), min(high, upper)
        if not low < high:
            return Walk(information, np.zeros(0), np.zeros(0), self.centre, self.reach)
        width = WIDEST * min(1.0, np.sqrt(min(step, ahead - information)) / root)
        edges = np.linspace(low, high, 1 + int(np.ceil((high - low) / width)))
        points, weights = (x.ravel() for x in pieces(edges[:-1], edges[1:]))
        from_points = self.points * np.sqrt(self.information) + self.centre * step
        scaled = (points[:, None] * root - from_points) / np.sqrt(step)
        density = np.exp(-(scaled**2) / 2) @ self.mass * (root / np.sqrt(2 * np.pi * step))
        return Walk(information, points, weights * density, self.centre, self.reach)


@dataclass(frozen=True, eq=False)
class Crossing:
    """Probabilities of leaving at each look.

    Attributes
    ----------
    upper, lower : numpy.ndarray, shape (..., look)
        Above the upper bound, and below the lower.
    """

    upper: np.ndarray
    lower: np.ndarray


def crossing_probabilities(information: Any, lower: Any, upper: Any, theta: Any = 0.0) -> Crossing:
    r"""Probabilities of crossing either bound first at each look, to about twelve digits.

    Parameters
    ----------
    information : sequence of float, shape (look,)
        Increasing, in units in which :math:`Z_k \sim N(\theta\sqrt{I_k}, 1)`.
    lower, upper : sequence of float, shape (look,)
        Bounds of Z; infinite for none. At the last look they may be equal.
    theta : array_like
        Effects.

    Returns
    -------
    Crossing
        Of shape (\*shape of theta, look).

    Raises
    ------
    SpecificationError
        When information does not increase by a thousandth of itself at least, or bounds cross.

    Examples
    --------
    >>> crossing_probabilities([0.5, 1], [-np.inf, -np.inf], [2.9626, 1.9686]).upper.round(6)
    array([0.001525, 0.023474])
    """
    looks = check_looks(information, lower, upper)
    effects = np.atleast_1d(np.asarray(theta, float)).ravel()
    last = np.sqrt(looks[0][-1])
    groups = np.round(effects * last / APART)
    found = np.empty((2, len(effects), len(looks[0])))
    for group in np.unique(groups):
        rows = groups == group
        found[:, rows] = _recursion(looks, effects[rows], group * APART / last)
    shape = (*np.shape(theta), len(looks[0]))
    return Crossing(found[0].reshape(shape), found[1].reshape(shape))


def _recursion(looks: np.ndarray, theta: np.ndarray, centre: float) -> np.ndarray:
    """Probabilities (side, theta, look) of effects near ``centre``."""
    count, found = looks.shape[1], []
    walk = Walk.start(centre, REACH + APART / 2)
    for k, (information, lower, upper) in enumerate(looks.T):
        found.append([walk.beyond(information, bound, theta, up=up) for bound, up in ((upper, True), (lower, False))])
        if k + 1 < count:
            walk = walk.to(information, lower, upper, looks[0, k + 1])
    return np.clip(np.moveaxis(np.array(found), 0, -1), 0.0, 1.0)


def check_looks(information: Any, lower: Any, upper: Any) -> np.ndarray:
    """Give looks as (information, lower, upper) by look, or refuse them.

    Raises
    ------
    SpecificationError
    """
    check_information(information)
    found = [np.asarray(x, float) for x in (information, lower, upper)]
    if len({x.shape for x in found}) != 1:
        raise SpecificationError(f"give a lower and an upper bound for each look; got {[x.shape for x in found]}")
    if not np.all(found[1] <= found[2]):
        raise SpecificationError(f"lower bounds must not be above upper ones; got {lower} and {upper}")
    return np.stack(found)


def check_information(information: Any) -> np.ndarray:
    """Give the information of looks, or refuse it.

    Raises
    ------
    SpecificationError
    """
    found = np.asarray(information, float)
    gaps = np.diff(found, prepend=0.0) if found.ndim == 1 else np.zeros(1)
    if found.ndim != 1 or not len(found) or not np.all(np.isfinite(found)) or not np.all(gaps > CLOSEST * found):
        raise SpecificationError(
            f"information must be finite, above 0 and increase from look to look by more than {CLOSEST:.1%} of itself; "
            f"got {np.asarray(information).tolist()}"
        )
    return found
