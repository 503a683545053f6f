"""Priors of a meta-analysis: of the population mean, and of the standard deviation between trials."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from smm_bayes.errors import Problems, SpecificationError

# typical values of a standard deviation of log odds between trials
HETEROGENEITY = {"small": 0.125, "moderate": 0.25, "substantial": 0.5, "large": 1.0, "very large": 2.0}
# where one class ends and the next begins: half way in ratio
LIMITS = tuple(math.sqrt(a * b) for a, b in pairwise(HETEROGENEITY.values()))


@dataclass(frozen=True)
class Prior(ABC):
    """A prior of one number."""

    POSITIVE: ClassVar[tuple[str, ...]] = ()  # which settings must be above 0

    def __post_init__(self) -> None:
        """Refuse settings that name no distribution."""
        problems = Problems(type(self).__name__, SpecificationError)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
                problems.add(f"{field.name} must be a finite number; got {value!r}")
            elif field.name in self.POSITIVE and not value > 0:
                problems.add(f"{field.name} must be above 0; got {value}")
        problems.raise_if_any()

    @cached_property
    @abstractmethod
    def _scipy(self) -> Any:
        """The same distribution in SciPy."""

    @abstractmethod
    def variable(self, name: str, **settings: Any) -> Any:
        """Make the PyMC variable, inside a model."""

    def log_pdf(self, value: Any) -> np.ndarray:
        """Logarithm of the density."""
        return self._scipy.logpdf(np.asarray(value, float))

    def cdf(self, value: Any) -> np.ndarray:
        """Probability of at most ``value``."""
        return self._scipy.cdf(np.asarray(value, float))

    def quantile(self, p: Any) -> np.ndarray:
        """Value that is not exceeded with probability ``p``."""
        return self._scipy.ppf(np.asarray(p, float))

    def upper_quantile(self, p: Any) -> np.ndarray:
        """Value that is exceeded with probability ``p``, precise where that is tiny."""
        return self._scipy.isf(np.asarray(p, float))

    def sample(self, size: Any, *, rng: np.random.Generator) -> np.ndarray:
        """Draw values."""
        return np.asarray(self._scipy.rvs(size=size, random_state=rng), float)

    def _name(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{getattr(self, field.name):.4g}' for field in fields(self))})"


@dataclass(frozen=True)
class Normal(Prior):
    """Normal prior, of a population mean or a coefficient on the scale of the linear predictor.

    Parameters
    ----------
    mean, sd : float
    """

    mean: float = 0.0
    sd: float = 2.0

    POSITIVE = ("sd",)

    @classmethod
    def unit_information(cls, rate: float) -> Normal:
        r"""Prior of a log odds that is worth one patient, centred at a response rate.

        :math:`N(\mathrm{logit}\,\pi,\; 1/\pi + 1/(1-\pi))`.

        Raises
        ------
        SpecificationError
            When the rate is not between 0 and 1.
        """
        if not 0 < rate < 1:
            raise SpecificationError(f"the response rate must be between 0 and 1; got {rate}")
        return cls(math.log(rate / (1 - rate)), math.sqrt(1 / rate + 1 / (1 - rate)))

    @cached_property
    def _scipy(self) -> Any:
        from scipy import stats

        return stats.norm(self.mean, self.sd)

    def variable(self, name: str, **settings: Any) -> Any:
        import pymc as pm

        return pm.Normal(name, self.mean, self.sd, **settings)

    def __str__(self) -> str:
        return f"{self._name()}: 95 % between {self.quantile(0.025):.3g} and {self.quantile(0.975):.3g}"


class SDPrior(Prior):
    """Prior of the standard deviation between trials."""

    @property
    def support(self) -> tuple[float, float]:
        """Ends of its range."""
        return 0.0, math.inf

    @property
    def tail(self) -> float:
        """The density falls like the power -(tail + 1) of the value; infinity where it falls faster."""
        return math.inf

    def exponential_moment(self, order: float) -> bool:
        r"""Whether :math:`E\exp(k^2\tau^2/2)`, the moment of order k of a log-normal, is sure to exist."""
        return False

    @property
    def median(self) -> float:
        """Median."""
        return float(self.quantile(0.5))

    def heterogeneity(self) -> dict[str, float]:
        """Probability of each class of heterogeneity, as classed for log odds (see :meth:`words`)."""
        cuts = np.concatenate([[0.0], self.cdf(np.array(LIMITS)), [1.0]])
        return dict(zip(HETEROGENEITY, np.diff(cuts).tolist(), strict=True))

    def words(self) -> str:
        r"""What the prior says: in fold, and as a class of heterogeneity.

        In fold: with the median standard deviation τ, 95 % of trials have odds (rates, hazards) within
        :math:`e^{1.96\tau}` of the typical one. The classes are those proposed for log odds: about 0.125 small, 0.25
        moderate, 0.5 substantial, 1 large, 2 very large.

        References
        ----------
        Neuenschwander B, Schmidli H. Use of historical data. In: Lesaffre E, Baio G, Boulanger B (eds), Bayesian
        Methods in Pharmaceutical Research, 2020.
        """
        middle, high = self.median, float(self.quantile(0.95))
        return (
            f"{self._name()}: SD between trials has median {middle:.2g} ({self._class(middle)}: 95 % of trials within "
            f"{math.exp(min(1.96 * middle, 700)):.2g}-fold of the typical one on a ratio scale) and is at most "
            f"{high:.2g} ({self._class(high)}) with 95 % probability"
        )

    @staticmethod
    def _class(value: float) -> str:
        if value == 0:
            return "no heterogeneity"
        return f"{list(HETEROGENEITY)[int(np.searchsorted(LIMITS, value))]} heterogeneity"

    def __str__(self) -> str:
        return self.words()
