"""Predictive distributions of counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from smm_bayes.errors import SpecificationError


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

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of at most, and of more than, each count from -1 to the largest."""
        assert self.largest is not None
        each = self.components.pmf(np.arange(self.largest + 1)[:, None]) @ self.weights
        return np.append(0.0, np.cumsum(each)), np.append(np.cumsum(each[::-1])[::-1], 0.0)

    def _row(self, count: np.ndarray) -> np.ndarray:
        assert self.largest is not None
        return np.floor(np.clip(count, -1, self.largest)).astype(int) + 1

    def pmf(self, count: Any) -> np.ndarray:
        """Probability of each count."""
        return self.components.pmf(np.asarray(count)[..., None]) @ self.weights

    def cdf(self, count: Any) -> np.ndarray:
        """Probability of at most so many."""
        if self.largest is None:
            return self.components.cdf(np.asarray(count)[..., None]) @ self.weights
        return np.minimum(self._table[0], 1.0)[self._row(np.asarray(count))]

    def sf(self, count: Any) -> np.ndarray:
        """Probability of more."""
        if self.largest is None:
            return self.components.sf(np.asarray(count)[..., None]) @ self.weights
        return np.minimum(self._table[1], 1.0)[self._row(np.asarray(count))]

    def quantile(self, p: Any) -> np.ndarray:
        """Smallest count that is not exceeded with probability ``p`` at least; infinite for 1 if there is no largest.

        Raises
        ------
        SpecificationError
            When a probability is outside [0, 1].
        """
        p = np.asarray(p, float)
        if not np.all((p >= 0) & (p <= 1)):
            raise SpecificationError(f"a quantile needs probabilities within [0, 1]; got {p.tolist()}")
        if self.largest is not None:
            return np.minimum(np.searchsorted(self._table[0][1:], p), self.largest).astype(float)[()]
        each = np.maximum(self.components.ppf(p[..., None])[..., self.weights > 0], 0)
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
        last = self.components.isf(left_out)[self.weights > 0].max() if self.largest is None else self.largest
        return np.arange(int(last) + 1)

    def sample(self, draws: int, *, rng: np.random.Generator) -> np.ndarray:
        """Draw counts, shape (draws,)."""
        which = rng.choice(len(self.weights), size=draws, p=self.weights)
        every = self.components.rvs(size=(draws, len(self.weights)), random_state=rng)
        return every[np.arange(draws), which]

    def __repr__(self) -> str:
        low, high = self.quantile([0.025, 0.975])
        return f"{self.what}: mean {self.mean:.3g}, SD {self.sd:.3g}, 95 % between {low:.0f} and {high:.0f}"
