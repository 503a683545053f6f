"""Priors of a standard deviation between trials, one class a family."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.normal import SDPrior


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
