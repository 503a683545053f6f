"""Priors stated by their consequence on the clinical scale, and what they mean in words.

These values are what a specification contains; the PyMC model and the NumPy simulator both read them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from smm_bayes.errors import SpecificationError

Z_UPPER = 1.959963984540054  # 97.5 % point of the standard normal
# 95 % point of |X·Z| for X ~ HalfNormal(1), Z ~ Normal(0, 1): the product of two standard normals, density K0/π
STEP_95 = 2.181948983966455
YEAR = 12.0  # months


@dataclass(frozen=True)
class RatioPrior:
    """Log-normal prior of a ratio from its median and its upper plausible value (97.5 %).

    Parameters
    ----------
    median, upper : float
    """

    median: float
    upper: float

    OF: ClassVar[str] = "ratio"  # what it is a prior of

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        _check_order(self.OF.replace(" ", "_"), self.median, self.upper)

    @property
    def mean(self) -> float:
        """Mean of the log ratio."""
        return math.log(self.median)

    @property
    def sd(self) -> float:
        """Standard deviation of the log ratio."""
        return math.log(self.upper / self.median) / Z_UPPER

    def __str__(self) -> str:
        low = self.median**2 / self.upper
        return f"95 % of prior {self.OF}s between {low:.2g} and {self.upper:.2g}, median {self.median:.2g}"


@dataclass(frozen=True)
class HazardRatioPrior(RatioPrior):
    """Prior of a hazard ratio.

    The default, 1 and 2.7, is Normal(0, 0.51) on the log scale: 95 % between 0.37 and 2.7, so neither harm nor
    benefit is favoured and a ten-fold effect is as good as excluded.

    Examples
    --------
    >>> import smm_bayes as smm
    >>> print(smm.HazardRatioPrior(median=0.8, upper=2.0))
    95 % of prior hazard ratios between 0.32 and 2, median 0.8
    """

    median: float = 1.0
    upper: float = 2.7

    OF = "hazard ratio"


@dataclass(frozen=True)
class MedianTimePrior:
    """Log-normal prior of a hazard, from the median time to event it implies and that time's upper plausible value."""

    median: float
    upper: float

    OF: ClassVar[str] = "median_time"

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        _check_order(self.OF, self.median, self.upper)

    @property
    def mean(self) -> float:
        """Mean of the log hazard per month."""
        return math.log(math.log(2) / self.median)

    @property
    def sd(self) -> float:
        """Standard deviation of the log hazard."""
        return math.log(self.upper / self.median) / Z_UPPER


@dataclass(frozen=True)
class BaselinePrior(MedianTimePrior):
    """Log-normal prior of the control arm's typical hazard, from the median time to event it implies.

    Parameters
    ----------
    median : float
        Most plausible median time to the event in months if its hazard were constant and nothing competed.
    upper : float
        Upper plausible value (97.5 %) of that median time.

    Examples
    --------
    >>> import smm_bayes as smm
    >>> print(smm.BaselinePrior(median=24, upper=96))
    95 % of prior median times between 6 and 96 months, median 24
    """

    OF = "baseline"

    @classmethod
    def from_milestone(cls, time: float, survival: float, upper: float) -> BaselinePrior:
        """Give the prior under which survival at ``time`` months is most plausibly ``survival`` and at most ``upper``.

        As in the median, the hazard is taken as constant and alone: λ = -log S(t) / t.

        Parameters
        ----------
        time : float
        survival, upper : float
            Most plausible and upper plausible (97.5 %) probability.
        """
        if not (0 < time < math.inf and 0 < survival < upper < 1):
            raise SpecificationError(
                f"baseline: need a time above 0 and 0 < survival < upper < 1; got {survival} and {upper} at {time}"
            )
        return cls(*(time * math.log(2) / -math.log(share) for share in (survival, upper)))

    def __str__(self) -> str:
        low = self.median**2 / self.upper
        return f"95 % of prior median times between {low:,.0f} and {self.upper:,.0f} months, median {self.median:,.0f}"


@dataclass(frozen=True)
class SharePrior:
    """Logit-normal prior of a share of patients from its median and its upper plausible value (97.5 %).

    Parameters
    ----------
    median, upper : float
        Above 0 and below 1.
    """

    median: float
    upper: float

    OF: ClassVar[str] = "share"  # what it is a prior of

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        if not 0 < self.median < self.upper < 1:
            raise SpecificationError(
                f"{self.OF}: need 0 < median < upper < 1, such as 0.2 and 0.6; got median {self.median} and "
                f"upper {self.upper}"
            )

    @property
    def mean(self) -> float:
        """Mean of the log odds."""
        return _logit(self.median)

    @property
    def sd(self) -> float:
        """Standard deviation of the log odds."""
        return (_logit(self.upper) - self.mean) / Z_UPPER

    def __str__(self) -> str:
        low = 1 / (1 + math.exp(_logit(self.upper) - 2 * self.mean))
        what = "shares" if self.OF == "share" else f"{self.OF} shares"
        return f"95 % of prior {what} between {low:.2g} and {self.upper:.2g}, median {self.median:.2g}"


@dataclass(frozen=True)
class SmoothnessPrior:
    """Half-normal prior of a random walk's SD in a year, from how much a hazard may change in so many months.

    The variance of a change is proportional to the time between, so the prior does not depend on the intervals.

    Parameters
    ----------
    fold_change : float
        95 % of prior changes within ``months`` are smaller than this many fold.
    months : float
    """

    fold_change: float = 3.0
    months: float = YEAR

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        if not (1 < self.fold_change < math.inf and 0 < self.months < math.inf):
            raise SpecificationError(
                f"smoothness: fold_change must be above 1 and months above 0; got {self.fold_change} and {self.months}"
            )

    @property
    def scale(self) -> float:
        """Scale of the half-normal prior of the standard deviation of a change in a year."""
        return math.log(self.fold_change) / STEP_95 * math.sqrt(YEAR / self.months)

    def __str__(self) -> str:
        return f"95 % of prior changes within {self.months:g} months less than {self.fold_change:.3g}-fold"


@dataclass(frozen=True)
class SpreadPrior:
    """Half-normal prior of a standard deviation between groups, from the range that the groups' hazards span.

    Parameters
    ----------
    fold : float
        95 % of prior groups have a hazard (or a hazard ratio) within this many fold of the typical one.
    """

    fold: float

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        if not 1 < self.fold < math.inf:
            raise SpecificationError(f"spread between groups: the fold must be above 1; got {self.fold}")

    @property
    def scale(self) -> float:
        """Scale of the half-normal prior of the standard deviation."""
        return math.log(self.fold) / STEP_95

    def __str__(self) -> str:
        return f"95 % within {self.fold:.3g}-fold of the typical"


def _check_order(name: str, median: float, upper: float) -> None:
    if not 0 < median < upper < math.inf:
        raise SpecificationError(f"{name}: need 0 < median < upper; got median {median} and upper {upper}")


def _logit(share: float) -> float:
    return math.log(share / (1 - share))
