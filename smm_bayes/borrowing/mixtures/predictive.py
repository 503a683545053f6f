"""Predictive distributions of counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class CountPredictive:
    """Mixture of distributions of a count.

    Attributes
    ----------
    weights : numpy.ndarray, shape (component,)
    components : scipy.stats distribution
        One vectorised distribution.
    largest : int or None
        Largest possible count; None where there is none.
    what : str
        What is counted.
    """

    weights: np.ndarray
    components: Any
    largest: int | None
    what: str

    def pmf(self, count: Any) -> np.ndarray:
        """Probability of each count."""
        return self.components.pmf(np.asarray(count)[..., None]) @ self.weights

    def cdf(self, count: Any) -> np.ndarray:
        """Probability of at most so many."""
        return self.components.cdf(np.asarray(count)[..., None]) @ self.weights

    def sf(self, count: Any) -> np.ndarray:
        """Probability of more."""
        return self.components.sf(np.asarray(count)[..., None]) @ self.weights

    def quantile(self, p: Any) -> np.ndarray:
        """Smallest count that is not exceeded with probability ``p`` at least."""
        p = np.asarray(p, float)
        each = self.components.ppf(p[..., None])[..., self.weights > 0]
        low, high = each.min(axis=-1), each.max(axis=-1)
        while np.any(low < high):
            middle = np.floor((low + high) / 2)
            enough = self.cdf(middle) >= p
            low, high = np.where(enough, low, np.minimum(middle + 1, high)), np.where(enough, middle, high)
        return low

    @property
    def mean(self) -> float:
        """Expected count."""
        return float(self.components.mean() @ self.weights)

    @property
    def sd(self) -> float:
        """Standard deviation of the count."""
        means = self.components.mean()
        return float(np.sqrt((self.components.var() + (means - self.mean) ** 2) @ self.weights))

    def support(self, left_out: float = 1e-12) -> np.ndarray:
        """Counts from 0 to the largest, or to one that is exceeded with probability ``left_out`` at most."""
        last = self.largest if self.largest is not None else int(self.components.isf(left_out).max())
        return np.arange(last + 1)

    def sample(self, draws: int, *, rng: np.random.Generator) -> np.ndarray:
        """Draw counts, shape (draws,)."""
        which = rng.choice(len(self.weights), size=draws, p=self.weights)
        every = self.components.rvs(size=(draws, len(self.weights)), random_state=rng)
        return every[np.arange(draws), which]

    def __repr__(self) -> str:
        low, high = self.quantile([0.025, 0.975])
        return f"{self.what}: mean {self.mean:.3g}, SD {self.sd:.3g}, 95 % between {low:.0f} and {high:.0f}"
