"""Inference after a group-sequential trial has stopped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smm_bayes.design.group_sequential import GroupSequential
from smm_bayes.design.recursion import crossing_probabilities
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.results import tails

FAR = 12.0  # standard errors of the first look within which estimates are looked for


@dataclass(frozen=True)
class SequentialResult:
    r"""Where a group-sequential trial stopped, and what that says of the effect.

    Outcomes are ordered by stage: crossing the upper bound earlier is more, crossing the lower one earlier is less,
    and at one look the larger Z is more. With :math:`F(\theta) = P_\theta(\text{as much or more})`, which increases,
    the one-sided p-value is :math:`F(0)`, the median-unbiased estimate solves :math:`F(\theta) = 1/2` and the limits
    solve :math:`F = (1 \mp l)/2`. Lower bounds that are not binding are left out of F, as they are of the type I error.

    Parameters
    ----------
    design : GroupSequential
        With the bounds of the looks as they were held (:func:`~smm_bayes.design.as_observed`).
    look : int
        The look at which it stopped, from 1.
    z : float
        The statistic there.

    Raises
    ------
    SpecificationError
        When the trial could not have stopped like this.

    References
    ----------
    Tsiatis AA, Rosner GL, Mehta CR. Biometrics 1984;40:797-803. Fairbanks K, Madsen R. Biometrika 1982;69:69-74.

    Examples
    --------
    >>> from smm_bayes.design.group_sequential import spending_design
    >>> result = SequentialResult(spending_design([0.5, 1.0]), look=2, z=2.2)
    >>> round(result.p_value, 5), round(result.median_unbiased, 4)
    (0.01459, 2.192)
    """

    design: GroupSequential
    look: int
    z: float

    def __post_init__(self) -> None:
        """Refuse what the design cannot end with."""
        problems = Problems("result of a group-sequential trial", SpecificationError)
        count = len(self.design.information)
        if not (isinstance(self.look, int | np.integer) and 1 <= self.look <= count):
            problems.add(f"look must be a whole number from 1 to {count}; got {self.look}")
        elif not math.isfinite(self.z):
            problems.add(f"z must be a finite number; got {self.z}")
        elif self.look < count and self.design.lower[self.look - 1] <= self.z < self.design.upper[self.look - 1]:
            problems.add(f"z {self.z:g} at look {self.look} is between the bounds: the trial goes on. Give the look at "
                         "which it stopped, or use GroupSequential.repeated_interval")  # fmt: skip
        problems.raise_if_any()

    @property
    def success(self) -> bool:
        """Whether the null hypothesis is rejected (in either direction if two-sided)."""
        k = self.look - 1
        two = self.design.sides == 2 and self.z <= self.design.lower[k]
        return self.z >= self.design.upper[k] or two

    def at_least(self, theta: float) -> float:
        """Probability at an effect of an outcome that is as much or more."""
        information, lower, upper = self._looks
        found = crossing_probabilities(information, lower, upper, theta)
        return float(min(found.upper.sum(), 1.0))

    @cached_property
    def _looks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        design, k = self.design.for_errors(), self.look
        lower, upper = np.array(design.lower[:k]), np.array(design.upper[:k])
        lower[-1] = upper[-1] = self.z
        return np.array(design.information[:k]), lower, upper

    @property
    def p_value(self) -> float:
        """p-value of no effect, with the sides of the design."""
        above = self.at_least(0.0)
        return above if self.design.sides == 1 else 2 * min(above, 1 - above)

    @property
    def estimate(self) -> float:
        r"""The plain estimate :math:`z/\\sqrt{I}`, too far from 0 on average after stopping early."""
        return self.z / math.sqrt(self.design.information[self.look - 1])

    @property
    def median_unbiased(self) -> float:
        """Effect at which what was seen, or more, has probability 1/2."""
        return self._effect(0.5)

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Interval of the effect, equal tails.

        Raises
        ------
        SpecificationError
            When ``probability`` is not between 0 and 1.
        """
        low, high = tails(probability)
        return self._effect(low), self._effect(high)

    def _effect(self, probability: float) -> float:
        from scipy.optimize import brentq

        half = FAR / math.sqrt(self.design.information[0])
        low, high = self.estimate - half, self.estimate + half
        return float(brentq(lambda theta: self.at_least(theta) - probability, low, high, xtol=1e-13))
