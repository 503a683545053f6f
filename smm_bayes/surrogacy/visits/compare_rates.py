"""Two rates compared exactly: difference and odds ratio under Jeffreys priors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures import BetaMixture
from smm_bayes.response.exact import probability_of_difference
from smm_bayes.results import Result

if TYPE_CHECKING:
    import pandas as pd

HALF = 0.5  # Jeffreys: Beta(1/2, 1/2)
TINY = 1e-10  # of the quantiles


def jeffreys_interval(negative: int, number: int, probability: float = 0.95) -> tuple[float, float]:
    r"""Equal-tailed interval of a rate p with x of n: quantiles of Beta(x + 1/2, n - x + 1/2), for every x.

    Neither end is moved to 0 or 1 where x is 0 or n.

    Raises
    ------
    SpecificationError
        When counts or probability are not possible.

    References
    ----------
    Brown LD, Cai TT, DasGupta A. Interval estimation for a binomial proportion. Stat Sci 2001;16:101-33,
    doi:10.1214/ss/1009213286.
    """
    from scipy.special import betaincinv

    check_counts(negative, number, probability)
    tails = np.array([(1 - probability) / 2, (1 + probability) / 2])
    lower, upper = betaincinv(negative + HALF, number - negative + HALF, tails)
    return float(lower), float(upper)


def check_counts(negative: int, number: int, probability: float) -> None:
    """Refuse counts that are none, and a probability of an interval that is none."""
    with Problems("rate", SpecificationError).collecting() as problems:
        if not 0 <= negative <= number:
            problems.add(f"negative must be from 0 to the number of patients, {number}; got {negative}")
        if not 0 < probability < 1:
            problems.add(f"probability must be between 0 and 1; got {probability:g}")


@dataclass(frozen=True)
class RateComparison(Result):
    r"""Two rates compared, experimental with control: their difference p_E - p_C and their odds ratio.

    With :math:`p_a \mid x_a \sim \mathrm{Beta}(x_a + 1/2, n_a - x_a + 1/2)`, independent. Quantiles are exact, without
    Monte Carlo error: roots of the distribution function, which is an integral by quadrature. A median is not quite
    the difference of the observed rates.

    Attributes
    ----------
    difference, odds_ratio : tuple of float
        Median, lower and upper limit of the equal-tailed interval.
    probability_above : float
        That the rate of the experimental arm is above that of control.
    probability : float
    """

    difference: tuple[float, float, float]
    odds_ratio: tuple[float, float, float]
    probability_above: float
    probability: float

    def table(self) -> pd.DataFrame:
        """Give the difference and the odds ratio as rows: median, lower, upper."""
        import pandas as pd

        rows = {"difference": self.difference, "odds ratio": self.odds_ratio}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["median", "lower", "upper"])

    def summary(self) -> str:
        """Say the difference, the odds ratio and how probable it is that the experimental rate is above."""
        shown = ["{:.3g} ({:.3g} to {:.3g})".format(*limits) for limits in (self.difference, self.odds_ratio)]
        return (f"difference {shown[0]}, odds ratio {shown[1]}; {100 * self.probability:g} % intervals; above 0 with "
                f"probability {self.probability_above:.3f}")  # fmt: skip

    @classmethod
    def of(cls, experimental: tuple[int, int], control: tuple[int, int], probability: float = 0.95) -> RateComparison:
        """Compare (negative, number) of two arms.

        Raises
        ------
        SpecificationError
            When counts or probability are not possible.
        """
        for negative, number in (experimental, control):
            check_counts(negative, number, probability)
        (x, n), (y, m) = experimental, control
        above = partial(probability_of_difference, BetaMixture([1.0], [x + HALF], [n - x + HALF]),
                        BetaMixture([1.0], [y + HALF], [m - y + HALF]))  # fmt: skip
        tails = (0.5, (1 + probability) / 2, (1 - probability) / 2)
        difference = [_root(lambda t: above(t), tail, 0.25, 1.0) for tail in tails]
        log_ratio = [_root(lambda t: above(t, link="logit"), tail, 2.0, np.inf) for tail in tails]
        ratio = [float(np.exp(value)) for value in log_ratio]
        first, second = ((each[0], each[1], each[2]) for each in (difference, ratio))
        return cls(first, second, above(0.0), probability)


def _root(above: Callable[[float], float], probability: float, width: float, end: float) -> float:
    """Find where a falling probability, 0 beyond ``end`` and 1 before ``-end``, is ``probability``."""
    from scipy.optimize import brentq

    low, high = -width, width
    while above(low) < probability and low > -end:
        low = max(2 * low, -end)
    while above(high) > probability and high < end:
        high = min(2 * high, end)
    return float(brentq(lambda t: above(t) - probability, low, high, xtol=TINY, rtol=1e-12))
