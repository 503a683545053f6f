"""Mixtures of normals over the nodes of a posterior: what is predicted of a trial."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.results import Result, plot_density

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

HALVINGS = 70


@dataclass(frozen=True, eq=False, repr=False)
class Predicted(Result):
    r"""Distribution of a log hazard ratio, :math:`\sum_k w_k N(m_k, v_k)`.

    Attributes
    ----------
    weights, means, sds : numpy.ndarray, shape (node,)
    """

    weights: np.ndarray
    means: np.ndarray
    sds: np.ndarray

    @property
    def mean(self) -> float:
        """Mean of the log hazard ratio."""
        return float(self.weights @ self.means)

    @property
    def sd(self) -> float:
        """Standard deviation of the log hazard ratio."""
        return math.sqrt(float(self.weights @ (self.sds**2 + (self.means - self.mean) ** 2)))

    def cdf(self, value: np.ndarray | float) -> np.ndarray:
        """Probability of at most ``value``, of any shape."""
        from scipy.special import ndtr

        value = np.asarray(value, float)
        return ndtr((value[..., None] - self.means) / self.sds) @ self.weights

    def pdf(self, value: np.ndarray | float) -> np.ndarray:
        """Density at ``value``, of any shape."""
        z = (np.asarray(value, float)[..., None] - self.means) / self.sds
        return (np.exp(-0.5 * z**2) / self.sds) @ self.weights / math.sqrt(2 * math.pi)

    def quantile(self, p: np.ndarray | float) -> np.ndarray:
        """Value that is not exceeded with probability ``p`` between 0 and 1, by bisection."""
        p = np.asarray(p, float)
        if not np.all((p > 0) & (p < 1)):
            raise SpecificationError(f"a probability must be above 0 and below 1; found {p}")
        low, high = (np.full(p.shape, float(edge)) for edge in
                     ((self.means - 40 * self.sds).min(), (self.means + 40 * self.sds).max()))  # fmt: skip
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = self.cdf(middle) < p
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return (low + high) / 2

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Central interval."""
        low, high = self.quantile(np.array([(1 - probability) / 2, (1 + probability) / 2]))
        return float(low), float(high)

    def sample(self, size: int, *, rng: np.random.Generator) -> np.ndarray:
        """Draw log hazard ratios."""
        chosen = rng.choice(len(self.weights), size, p=self.weights)
        return rng.normal(self.means[chosen], self.sds[chosen])

    def table(self, probability: float = 0.95) -> pd.DataFrame:
        """Give median, lower and upper hazard ratio, and the probability that it is below 1, as one row."""
        import pandas as pd

        row = [float(self.quantile(0.5)), *self.interval(probability)]
        columns = ["median", "lower", "upper", "probability_below_1"]
        return pd.DataFrame([[*np.exp(row), float(self.cdf(0.0))]], columns=columns)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the density of the log hazard ratio."""
        return plot_density(self, ax, xlabel="log hazard ratio")

    def summary(self) -> str:
        """Say the hazard ratio."""
        low, high = self.interval()
        middle = float(self.quantile(0.5))
        return (f"predicted hazard ratio {math.exp(middle):.2f} (95 % {math.exp(low):.2f} to {math.exp(high):.2f}), "
                f"below 1 with probability {float(self.cdf(0.0)):.3f}")  # fmt: skip

    def __repr__(self) -> str:
        return self.summary()
