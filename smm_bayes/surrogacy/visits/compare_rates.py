"""Two rates compared exactly: difference and odds ratio under Jeffreys priors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures import BetaMixture
from smm_bayes.response.exact import probability_of_difference

HALF = 0.5  # Jeffreys: Beta(1/2, 1/2)
TINY = 1e-10  # of the quantiles


def jeffreys_interval(negative: int, number: int, level: float = 0.95) -> tuple[float, float]:
    r"""Equal-tailed interval of a rate p with x of n: quantiles of Beta(x + 1/2, n - x + 1/2), for every x.

    Neither end is moved to 0 or 1 where x is 0 or n.

    Raises
    ------
    SpecificationError
        When counts or level are not possible.

    References
    ----------
    Brown LD, Cai TT, DasGupta A. Interval estimation for a binomial proportion. Stat Sci 2001;16:101-33,
    doi:10.1214/ss/1009213286.
    """
    from scipy.special import betaincinv

    check_counts(negative, number, level)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    lower, upper = betaincinv(negative + HALF, number - negative + HALF, tails)
    return float(lower), float(upper)


def check_counts(negative: int, number: int, level: float) -> None:
    """Refuse counts that are none, and a level that is no probability."""
    with Problems("rate", SpecificationError).collecting() as problems:
        if not 0 <= negative <= number:
            problems.add(f"negative must be from 0 to the number of patients, {number}; got {negative}")
        if not 0 < level < 1:
            problems.add(f"level must be between 0 and 1; got {level:g}")


@dataclass(frozen=True)
class RateComparison:
    r"""Two rates compared, experimental with control: their difference p_E - p_C and their odds ratio.

    With :math:`p_a \mid x_a \sim \mathrm{Beta}(x_a + 1/2, n_a - x_a + 1/2)`, independent. Quantiles are exact, without
    Monte Carlo error: roots of the distribution function, which is an integral by quadrature. A median is not quite
    the difference of the observed rates.

    Attributes
    ----------
    difference, odds_ratio : tuple of float
        Median, lower and upper limit of the equal-tailed interval.
    probability : float
        That the rate of the experimental arm is above that of control.
    level : float
    """

    difference: tuple[float, float, float]
    odds_ratio: tuple[float, float, float]
    probability: float
    level: float

    @classmethod
    def of(cls, experimental: tuple[int, int], control: tuple[int, int], level: float = 0.95) -> RateComparison:
        """Compare (negative, number) of two arms.

        Raises
        ------
        SpecificationError
            When counts or level are not possible.
        """
        for negative, number in (experimental, control):
            check_counts(negative, number, level)
        (x, n), (y, m) = experimental, control
        above = partial(probability_of_difference, BetaMixture([1.0], [x + HALF], [n - x + HALF]),
                        BetaMixture([1.0], [y + HALF], [m - y + HALF]))  # fmt: skip
        tails = (0.5, (1 + level) / 2, (1 - level) / 2)
        difference = [_root(lambda t: above(t), tail, 0.25, 1.0) for tail in tails]
        log_ratio = [_root(lambda t: above(t, link="logit"), tail, 2.0, np.inf) for tail in tails]
        ratio = [float(np.exp(value)) for value in log_ratio]
        return cls((difference[0], difference[1], difference[2]), (ratio[0], ratio[1], ratio[2]), above(0.0), level)


def _root(above: Callable[[float], float], probability: float, width: float, end: float) -> float:
    """Find where a falling probability, 0 beyond ``end`` and 1 before ``-end``, is ``probability``."""
    from scipy.optimize import brentq

    low, high = -width, width
    while above(low) < probability and low > -end:
        low = max(2 * low, -end)
    while above(high) > probability and high < end:
        high = min(2 * high, end)
    return float(brentq(lambda t: above(t) - probability, low, high, xtol=TINY, rtol=1e-12))
