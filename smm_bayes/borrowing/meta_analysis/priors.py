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


@dataclass(frozen=True)
class HalfNormal(SDPrior):
    """Half-normal prior of a standard deviation.

    Parameters
    ----------
    scale : float
        Standard deviation of the normal distribution it is half of. With 1, on the log odds scale, the median is
        0.67 (substantial to large) and 95 % are below 1.96.
    """

    scale: float = 1.0

    POSITIVE = ("scale",)

    @cached_property
    def _scipy(self) -> Any:
        from scipy import stats

        return stats.halfnorm(scale=self.scale)

    def exponential_moment(self, order: float) -> bool:
        return order * self.scale < 1

    def variable(self, name: str, **settings: Any) -> Any:
        import pymc as pm

        return pm.HalfNormal(name, self.scale, **settings)


@dataclass(frozen=True)
class HalfStudentT(SDPrior):
    """Half-t prior of a standard deviation.

    Parameters
    ----------
    df, scale : float
    """

    df: float
    scale: float

    POSITIVE = ("df", "scale")

    @property
    def tail(self) -> float:
        return self.df

    @cached_property
    def _scipy(self) -> Any:
        return _HalfT(self.df, self.scale)

    def variable(self, name: str, **settings: Any) -> Any:
        import pymc as pm

        return pm.HalfStudentT(name, nu=self.df, sigma=self.scale, **settings)


@dataclass(frozen=True)
class HalfCauchy(SDPrior):
    """Half-Cauchy prior of a standard deviation.

    Parameters
    ----------
    scale : float
        Its median.
    """

    scale: float

    POSITIVE = ("scale",)

    @property
    def tail(self) -> float:
        return 1.0

    @cached_property
    def _scipy(self) -> Any:
        from scipy import stats

        return stats.halfcauchy(scale=self.scale)

    def variable(self, name: str, **settings: Any) -> Any:
        import pymc as pm

        return pm.HalfCauchy(name, self.scale, **settings)


@dataclass(frozen=True)
class LogNormal(SDPrior):
    """Log-normal prior of a standard deviation.

    Parameters
    ----------
    mu, sigma : float
        Mean and standard deviation of its logarithm.
    """

    mu: float
    sigma: float

    POSITIVE = ("sigma",)

    @cached_property
    def _scipy(self) -> Any:
        from scipy import stats

        return stats.lognorm(self.sigma, scale=math.exp(self.mu))

    def variable(self, name: str, **settings: Any) -> Any:
        import pymc as pm

        return pm.LogNormal(name, self.mu, self.sigma, **settings)


@dataclass(frozen=True)
class Uniform(SDPrior):
    """Uniform prior of a standard deviation.

    Parameters
    ----------
    lower, upper : float
    """

    lower: float
    upper: float

    def __post_init__(self) -> None:
        """Refuse ends in the wrong order."""
        super().__post_init__()
        if not 0 <= self.lower < self.upper:
            raise SpecificationError(f"Uniform: need 0 <= lower < upper; got {self.lower} and {self.upper}")

    @property
    def support(self) -> tuple[float, float]:
        return self.lower, self.upper

    @cached_property
    def _scipy(self) -> Any:
        from scipy import stats

        return stats.uniform(self.lower, self.upper - self.lower)

    def exponential_moment(self, order: float) -> bool:
        return True

    def variable(self, name: str, **settings: Any) -> Any:
        import pymc as pm

        return pm.Uniform(name, self.lower, self.upper, **settings)


@dataclass(frozen=True)
class Fixed(SDPrior):
    """A known standard deviation; 0 pools the trials.

    Parameters
    ----------
    value : float
    """

    value: float

    def __post_init__(self) -> None:
        """Refuse a value below 0."""
        super().__post_init__()
        if self.value < 0:
            raise SpecificationError(f"Fixed: the value must be 0 or above; got {self.value}")

    @cached_property
    def _scipy(self) -> Any:
        raise SpecificationError("a fixed value has no density")

    def log_pdf(self, value: Any) -> np.ndarray:
        return np.where(np.asarray(value, float) == self.value, 0.0, -np.inf)

    def cdf(self, value: Any) -> np.ndarray:
        return (np.asarray(value, float) >= self.value).astype(float)

    def quantile(self, p: Any) -> np.ndarray:
        return np.full(np.shape(p), float(self.value))

    upper_quantile = quantile

    def exponential_moment(self, order: float) -> bool:
        return True

    def sample(self, size: Any, *, rng: np.random.Generator) -> np.ndarray:
        return np.full(size, float(self.value))

    def variable(self, name: str, dims: Any = None, shape: Any = (), **settings: Any) -> Any:
        import pymc as pm
        import pytensor.tensor as pt

        size = tuple(len(pm.modelcontext(None).coords[dim]) for dim in np.atleast_1d(dims)) if dims else shape
        return pm.Deterministic(name, pt.as_tensor_variable(np.full(size, float(self.value))), dims=dims)

    def words(self) -> str:
        return f"{self._name()}: the SD between trials is known ({self._class(self.value)})"


@dataclass(frozen=True)
class _HalfT:
    """Half of a t distribution, which SciPy lacks."""

    df: float
    scale: float

    @property
    def _t(self) -> Any:
        from scipy import stats

        return stats.t(self.df, scale=self.scale)

    def logpdf(self, value: np.ndarray) -> np.ndarray:
        return np.where(value >= 0, self._t.logpdf(value) + math.log(2), -np.inf)

    def cdf(self, value: np.ndarray) -> np.ndarray:
        return np.where(value >= 0, 1 - 2 * self._t.sf(np.maximum(value, 0)), 0.0)

    def ppf(self, p: np.ndarray) -> np.ndarray:
        return self._t.ppf((1 + p) / 2)

    def isf(self, p: np.ndarray) -> np.ndarray:
        return self._t.isf(p / 2)

    def rvs(self, size: Any, random_state: np.random.Generator) -> np.ndarray:
        return np.abs(self._t.rvs(size=size, random_state=random_state))
