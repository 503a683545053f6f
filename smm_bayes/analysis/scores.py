r"""Forecasts against what happened: coverage, log score, continuous ranked probability score, PIT and sharpness.

What is published is an estimate: the truth with a sampling error. A forecast of the truth is therefore widened by the
published standard error before it is scored (:meth:`Forecast.of_estimate`), and never compared as if the estimate were
exact. All is on the scale of a logarithm (of a hazard ratio, of a cumulative hazard), so that widths are ratios.

References
----------
Gneiting T, Raftery AE. Journal of the American Statistical Association 2007;102:359-378.
Gneiting T, Balabdaoui F, Raftery AE. Journal of the Royal Statistical Society B 2007;69:243-268.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import Z_UPPER

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (0.5, 0.8, 0.95)
FAR = 8.0  # standard deviations beyond which a component has no probability
LEFT_OUT = 1e-7  # of a mixture's weight, its smallest components
FEW, ALIKE = 50, 0.08  # components of a mixture that is kept as it is; SDs within which two are merged
SMOOTH = 0.7  # SD of a component in cells: their sum is flat to 1 in 7,000
STEPS = 60  # to a quantile, at most
ROOT_TAU = math.sqrt(2 * math.pi)


@dataclass(frozen=True, eq=False, repr=False)
class Forecast:
    r"""A predictive distribution, the mixture :math:`\sum_k w_k N(m_k, s_k^2)`.

    Attributes
    ----------
    weights, means, sds : numpy.ndarray, shape (component,)
        Weights sum to 1.
    """

    weights: np.ndarray
    means: np.ndarray
    sds: np.ndarray

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        good = len(self.weights) == len(self.means) == len(self.sds) > 0
        if not (good and np.isfinite(self.means).all() and (self.sds > 0).all() and (self.weights >= 0).all()):
            raise SpecificationError("a forecast needs as many weights of 0 or more, finite means and SDs above 0")
        if not math.isclose(float(self.weights.sum()), 1.0, abs_tol=1e-9):
            raise SpecificationError(f"a forecast's weights must sum to 1; got {self.weights.sum():.6g}")

    @classmethod
    def normal(cls, mean: float, sd: float) -> Forecast:
        """One normal distribution."""
        return cls(np.ones(1), np.array([float(mean)]), np.array([float(sd)]))

    @classmethod
    def mixture(cls, weights: Any, means: Any, sds: Any) -> Forecast:
        """Normalise weights, leave out the smallest components, and merge those that are alike, moments kept."""
        weights, means, sds = (np.asarray(values, float).ravel() for values in (weights, means, sds))
        order = np.argsort(-weights)
        kept = order[: int(np.searchsorted(np.cumsum(weights[order]), (1 - LEFT_OUT) * weights.sum())) + 1]
        weights, means, sds = weights[kept] / weights[kept].sum(), means[kept], sds[kept]
        if len(weights) <= FEW:
            return cls(weights, means, sds)
        size = np.round(np.log(sds) / ALIKE)
        cell = np.stack([size, np.round(means / (ALIKE * np.exp(size * ALIKE)))])
        _, cell = np.unique(cell, axis=1, return_inverse=True)
        total = np.bincount(cell, weights)
        middle = np.bincount(cell, weights * means) / total
        square = np.bincount(cell, weights * (sds**2 + means**2)) / total
        return cls(total, middle, np.sqrt(square - middle**2))

    @classmethod
    def flat(cls, low: float, high: float, components: int = 400) -> Forecast:
        """Flat between two values: so many equal, narrow components."""
        if not low < high:
            raise SpecificationError(f"a flat forecast needs low < high; got {low} and {high}")
        width = (high - low) / components
        means = low + width * (np.arange(components) + 0.5)
        return cls(np.full(components, 1 / components), means, np.full(components, SMOOTH * width))

    @classmethod
    def of_quantiles(cls, chances: Sequence[float], values: Sequence[float], components: int = 400) -> Forecast:
        """Give the distribution whose normal score is linear between quantiles, and beyond them as at the ends.

        Equal quantiles, as counts have, are separated by a hundredth of a millionth.
        """
        order = np.argsort(chances)
        score, value = ndtri(np.asarray(chances, float)[order]), np.asarray(values, float)[order]
        value = np.maximum.accumulate(value) + 1e-8 * np.arange(len(value))
        at = ndtri((np.arange(components) + 0.5) / components)
        slope = np.diff(value) / np.diff(score)
        piece = np.clip(np.searchsorted(score, at) - 1, 0, len(slope) - 1)
        means = value[piece] + slope[piece] * (at - score[piece])
        gaps = np.gradient(means)
        return cls(np.full(components, 1 / components), means, np.maximum(SMOOTH * gaps, 1e-8))

    def of_estimate(self, se: float) -> Forecast:
        """Forecast of a published estimate with this standard error: the truth and its sampling error."""
        if not 0 <= se < math.inf:
            raise SpecificationError(f"a standard error must be 0 or more and finite; got {se}")
        return Forecast(self.weights, self.means, np.hypot(self.sds, se))

    @property
    def mean(self) -> float:
        """Mean."""
        return float(self.weights @ self.means)

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return math.sqrt(float(self.weights @ (self.sds**2 + (self.means - self.mean) ** 2)))

    def cdf(self, value: Any) -> np.ndarray:
        """Probability of at most ``value``, of any shape."""
        return ndtr((np.asarray(value, float)[..., None] - self.means) / self.sds) @ self.weights

    def log_pdf(self, value: float) -> float:
        """Logarithm of the density."""
        terms = -0.5 * ((value - self.means) / self.sds) ** 2 - np.log(self.sds)
        return float(logsumexp(terms, b=self.weights)) - 0.5 * math.log(2 * math.pi)

    def quantile(self, chances: Any) -> np.ndarray:
        """Values not exceeded with these probabilities, by Newton's steps kept within a bracket that is halved."""
        chances = np.asarray(chances, float)
        low = np.full(chances.shape, float((self.means - FAR * self.sds).min()))
        high = np.full(chances.shape, float((self.means + FAR * self.sds).max()))
        at = np.clip(self.mean + self.sd * ndtri(chances), low, high)
        for _ in range(STEPS):
            z = (at[..., None] - self.means) / self.sds
            excess = ndtr(z) @ self.weights - chances
            low, high = np.where(excess < 0, at, low), np.where(excess < 0, high, at)
            density = (np.exp(-0.5 * z**2) / self.sds) @ self.weights / ROOT_TAU
            step = at - excess / np.maximum(density, 1e-12)
            new = np.where((step > low) & (step < high), step, (low + high) / 2)
            if np.abs(new - at).max() < 1e-10:
                return new
            at = new
        return at

    def crps(self, value: float) -> float:
        r"""Give :math:`\int (F(x) - 1\{x \ge y\})^2\,dx = E|X - y| - E|X - X'|/2`, exactly."""
        apart = _absolute(self.means[:, None] - self.means, np.hypot(self.sds[:, None], self.sds))
        return float(self.weights @ _absolute(value - self.means, self.sds) - self.weights @ apart @ self.weights / 2)

    def __repr__(self) -> str:
        low, middle, high = np.exp(self.quantile([0.025, 0.5, 0.975]))
        return f"forecast: median {middle:.3g}, 95 % between {low:.3g} and {high:.3g} (exponentials)"


@dataclass(frozen=True)
class Score:
    """What one forecast of one published estimate was worth.

    Attributes
    ----------
    median : float
        Of the forecast.
    low_80, high_80 : float
    width_80 : float
        Sharpness: of the 80 % interval, on the scale of the logarithm.
    pit : float
        Probability, before, of at most what was published: uniform where forecasts are right.
    in_50, in_80, in_95 : bool
        Whether the interval holds what was published.
    log_score : float
        Logarithm of the forecast density at what was published; higher is better.
    crps : float
        Continuous ranked probability score; lower is better.
    """

    median: float
    low_80: float
    high_80: float
    width_80: float
    pit: float
    in_50: bool
    in_80: bool
    in_95: bool
    log_score: float
    crps: float


def score(forecast: Forecast, value: float) -> Score:
    """Score the forecast of a published estimate, sampling error included, against the estimate."""
    low_95, low, low_50, middle, high_50, high, high_95 = forecast.quantile([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])
    return Score(
        float(middle), float(low), float(high), float(high - low), float(forecast.cdf(value)),
        bool(low_50 <= value <= high_50), bool(low <= value <= high), bool(low_95 <= value <= high_95),
        forecast.log_pdf(value), forecast.crps(value),
    )  # fmt: skip


def summary(scores: Mapping[str, Iterable[Score]]) -> pd.DataFrame:
    """Coverage, mean width, mean log score and mean CRPS, one row a way of forecasting."""
    import pandas as pd

    rows = {}
    for name, found in scores.items():
        table = pd.DataFrame([asdict(one) for one in found])
        rows[name] = {"forecasts": len(table), **table[["in_50", "in_80", "in_95"]].mean(),
                      **table[["width_80", "log_score", "crps"]].mean()}  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def log_ratio_se(lower: float, upper: float, level: float = 0.95) -> float:
    """Standard error of a log ratio from its published confidence limits."""
    from statistics import NormalDist

    if not (0 < lower < upper < math.inf and 0 < level < 1):
        raise SpecificationError(f"confidence limits need 0 < lower < upper; got {lower} and {upper} at {level}")
    z = Z_UPPER if level == 0.95 else NormalDist().inv_cdf(0.5 + level / 2)
    return math.log(upper / lower) / (2 * z)


def _absolute(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Expectation of the absolute value of normal numbers."""
    z = mean / sd
    return mean * (2 * ndtr(z) - 1) + 2 * sd * np.exp(-0.5 * z**2) / ROOT_TAU
